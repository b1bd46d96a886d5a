// An application that asks Vigie with the npm package `openid-client`.
//
// Calls: {"call": "discover", "issuer", "id", "method", "secret"?, "key"?: {"pem", "kid"}}, then "introspect", "introspect_signed" and "revoke",
// each with a "token". The package verifies no access tokens.

import * as client from 'openid-client';
import { answerCalls, describeError } from './lines.mjs';
import { privateKey } from './private-key.mjs';

let plain, signed;

async function discover({ issuer, id, method, secret, key }) {
  const authentication = {
    client_secret_basic: () => client.ClientSecretBasic(secret),
    client_secret_post: () => client.ClientSecretPost(secret),
    private_key_jwt: async () => client.PrivateKeyJwt(await privateKey(key)),
  }[method];
  const find = async (metadata, ...further) =>
    client.discovery(new URL(issuer), id, metadata, await authentication(), {
      // The package looks for `openid-configuration`, unless it is told that this is a server for OAuth 2.
      algorithm: 'oauth2',
      // The servers of the tests have no TLS.
      execute: [client.allowInsecureRequests, ...further],
    });
  plain = await find({});
  // The package asks for signed answers when it is told with which algorithm, and looks at the signature when told to.
  const [algorithm] = plain.serverMetadata().introspection_signing_alg_values_supported;
  signed = await find({ introspection_signed_response_alg: algorithm }, client.enableNonRepudiationChecks);
  return plain.serverMetadata();
}

const introspect = ({ token }) => client.tokenIntrospection(plain, token);
const introspectSigned = ({ token }) => client.tokenIntrospection(signed, token);
const revoke = ({ token }) => client.tokenRevocation(plain, token);

await answerCalls({ discover, introspect, introspect_signed: introspectSigned, revoke }, describeError);
