// An application that verifies tokens with the published keys, as `express-oauth2-jwt-bearer` does it by default, and asks
// nobody whether their sessions live.
//
//   ISSUER=… AUDIENCE=… JWKS_URI=http://… node server.mjs
//
// It prints `listening on http://…` when it is ready.

import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';

const { ISSUER, AUDIENCE, JWKS_URI } = process.env;

const app = express();
app.use(auth({ issuer: ISSUER, audience: AUDIENCE, jwksUri: JWKS_URI, tokenSigningAlg: 'ES256' }));
app.get('/', (request, response) => response.json({ sub: request.auth.payload.sub }));
// Express would write each refusal to the log.
app.use((error, request, response, next) => response.status(error.status ?? 500).end());

const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
