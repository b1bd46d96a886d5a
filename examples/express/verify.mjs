// Express 5 with express-oauth2-jwt-bearer 1.10: it verifies tokens itself. THIS KNOWS NOTHING OF A LOGOUT.
import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';

const { VIGIE_URL, PORT } = process.env;
const app = express();
app.use(
  auth({
    issuerBaseURL: VIGIE_URL,
    audience: 'vigie',
    strict: true, // Only access tokens (RFC 9068).
    clockTolerance: 0,
    cacheMaxAge: 60_000, // By default, a revoked key is accepted for ten minutes,
    cooldownDuration: 1_000, // and a new key may be refused for half a minute.
  }),
);
app.get('/', ({ auth: { payload } }, response) =>
  response.json({ user: payload.sub, role: payload.role, session: payload.sid }),
);
app.listen(PORT, '127.0.0.1');
