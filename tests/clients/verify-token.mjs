// Verifies a token as a Node application does, with the npm package `jsonwebtoken`, and prints its claims as JSON.
//
// Input, one JSON object: {"token", "secret" | "pem" | "jwks", "algorithms", "issuer"?, "audience"?}
// A token that is refused: exit code 1, and the reason on the standard error stream.

import { createPublicKey } from 'node:crypto';
import { text } from 'node:stream/consumers';
import jwt from 'jsonwebtoken';

const { token, secret, pem, jwks, algorithms, ...expected } = JSON.parse(await text(process.stdin));

function keyFromSet({ keys }) {
  const { header } = jwt.decode(token, { complete: true });
  const jwk = keys.find(({ kid }) => kid === header.kid);
  if (!jwk) throw new Error(`no key ${header.kid} in the set`);
  return createPublicKey({ key: jwk, format: 'jwk' });
}

try {
  const secretOrKey = secret ?? pem ?? keyFromSet(jwks);
  console.log(JSON.stringify(jwt.verify(token, secretOrKey, { algorithms, ...expected })));
} catch (error) {
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
