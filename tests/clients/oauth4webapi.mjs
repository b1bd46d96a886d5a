// An application that asks Vigie with the npm package `oauth4webapi`.
//
// Calls: {"call": "discover", "issuer", "id", "method", "secret"?, "key"?: {"pem", "kid"}}, then "introspect", "introspect_signed", "revoke" and
// "verify", each with a "token"; "verify" also with an "audience".

import * as oauth from 'oauth4webapi';
import { answerCalls, describeError } from './lines.mjs';
import { privateKey } from './private-key.mjs';

// The servers of the tests have no TLS.
const http = { [oauth.allowInsecureRequests]: true };
let server, client, authentication;

async function discover({ issuer, id, method, secret, key }) {
  const url = new URL(issuer);
  // The package compares the issuer of the document with the one that was asked for.
  server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...http }));
  client = { client_id: id };
  authentication = {
    client_secret_basic: () => oauth.ClientSecretBasic(secret),
    client_secret_post: () => oauth.ClientSecretPost(secret),
    private_key_jwt: async () => oauth.PrivateKeyJwt(await privateKey(key)),
  }[method];
  authentication = await authentication();
  return server;
}

async function introspect({ token }) {
  const response = await oauth.introspectionRequest(server, client, authentication, token, http);
  return oauth.processIntrospectionResponse(server, client, response);
}

async function introspectSigned({ token }) {
  const asked = { ...http, requestJwtResponse: true };
  const response = await oauth.introspectionRequest(server, client, authentication, token, asked);
  const answer = await oauth.processIntrospectionResponse(server, client, response);
  // TLS would do for the package. Here the signature counts; an answer without one is refused.
  await oauth.validateApplicationLevelSignature(server, response, http);
  return answer;
}

async function revoke({ token }) {
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, authentication, token, http));
}

function verify({ token, audience }) {
  const request = new Request('http://127.0.0.1/', { headers: { Authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(server, request, audience, http);
}

await answerCalls({ discover, introspect, introspect_signed: introspectSigned, revoke, verify }, describeError);
