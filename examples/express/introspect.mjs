// Express 5 with openid-client 6: it asks Vigie about each token, so logged out means logged out.
import express from 'express';
import * as client from 'openid-client';

const { VIGIE_URL, CLIENT_ID, CLIENT_SECRET, PORT } = process.env;
const vigie = await client.discovery(new URL(VIGIE_URL), CLIENT_ID, {}, client.ClientSecretBasic(CLIENT_SECRET), {
  algorithm: 'oauth2', // Vigie is no OpenID provider.
  execute: VIGIE_URL.startsWith('http://127.0.0.1') ? [client.allowInsecureRequests] : [],
  timeout: 5,
});

async function authenticate(request, response, next) {
  const [, token] = /^Bearer +(\S+)$/i.exec(request.get('Authorization') ?? '') ?? [];
  if (!token) return response.set('WWW-Authenticate', 'Bearer').sendStatus(401);
  try {
    request.user = await client.tokenIntrospection(vigie, token);
  } catch {
    // Nothing was decided: nobody is let in, and nobody is told to log in again.
    return response.set('Retry-After', '1').sendStatus(503);
  }
  // A refresh token has no type. It is no access token, although this client may be told that it is active.
  if (request.user.active && request.user.token_type === 'Bearer') return next();
  response.set('WWW-Authenticate', 'Bearer error="invalid_token"').sendStatus(401);
}

const app = express();
app.use(authenticate);
app.get('/', ({ user }, response) => response.json({ user: user.sub, name: user.username, role: user.role, session: user.sid }));
app.listen(PORT, '127.0.0.1');
