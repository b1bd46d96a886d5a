// The private key of a client, from PEM, with the name under which it is registered: the packages send it along.
import { createPrivateKey } from 'node:crypto';

export async function privateKey({ pem, kid }) {
  const bytes = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  const key = await crypto.subtle.importKey('pkcs8', bytes, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  return { key, kid };
}
