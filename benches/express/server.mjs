// The usual way to check a session: an Express server that verifies the token and asks PostgreSQL, by one query with an
// index, whether the session lives. It reads Vigie's own tables and answers what `GET /auth/verify` answers.
//
//   DATABASE_URL=postgres://… PUBLIC_KEY='{"kty":"EC",…}' ISSUER=… AUDIENCE=… node server.mjs
//
// It prints `listening on http://…` when it is ready.

import { createPublicKey } from 'node:crypto';
import express from 'express';
import jwt from 'jsonwebtoken';
import pg from 'pg';

const { DATABASE_URL, PUBLIC_KEY, ISSUER, AUDIENCE } = process.env;
const key = createPublicKey({ key: JSON.parse(PUBLIC_KEY), format: 'jwk' });
const expected = { algorithms: ['ES256'], issuer: ISSUER, audience: AUDIENCE };
// As many connections as Vigie keeps by default.
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 8 });

// Prepared once on each connection, by its name.
const standing = (claims) => ({
  name: 'standing',
  text: `SELECT users.id, users.username, users.role FROM sessions JOIN users ON users.id = sessions.user_id
         WHERE sessions.id = $1 AND users.id = $2 AND sessions.ended_at IS NULL AND sessions.idle_expires_at > now()
           AND users.state = 'active'`,
  values: [claims.sid, claims.sub],
});

const app = express();
app.disable('x-powered-by');
app.disable('etag');

app.get('/auth/verify', async (request, response) => {
  const [scheme, token] = (request.get('authorization') ?? '').split(' ');
  let claims;
  try {
    if (scheme !== 'Bearer') throw new Error('no token');
    claims = jwt.verify(token, key, expected);
  } catch {
    return response.status(401).end();
  }
  const { rows: [user] } = await pool.query(standing(claims));
  if (!user) return response.status(401).end();
  response.set({
    'x-auth-user-id': user.id,
    'x-auth-username': encodeURIComponent(user.username),
    'x-auth-role': encodeURIComponent(user.role),
    'x-auth-session-id': claims.sid,
  });
  return response.status(200).end();
});

const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
