// Introspection as `oidc-provider` does it, with its own memory as the store: one client, which gets opaque access tokens by
// `client_credentials` and asks about them by HTTP Basic.
//
//   CLIENT_ID=… CLIENT_SECRET=… node server.mjs
//
// It prints `listening on http://…` when it is ready.

import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const { CLIENT_ID, CLIENT_SECRET } = process.env;

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const address = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(address, {
    clients: [{
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
    },
    ttl: { ClientCredentials: 600 },
  });
  server.on('request', provider.callback());
  console.log(`listening on ${address}`);
});
