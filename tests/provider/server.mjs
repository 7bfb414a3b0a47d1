// An OpenID provider on loopback (oidc-provider, which is certified), whose keys change when it is told.
//
// One line of JSON says that it is ready. Each line of its input is a step of the keys' life; it is
// answered by the same line once it is done. It ends with its input.

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

// Its output is for the tests; what the library has to say is not.
const say = console.log;
console.log = console.info = console.warn;

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];
// No verifier has to know this one; it stands among the others.
const STRANGE = 'ES512';
const SCOPE = 'read';

let generation = 0;
async function newKeys() {
  generation += 1;
  return Promise.all([...ALGORITHMS, STRANGE].map(async (alg) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return { ...await exportJWK(privateKey), alg, use: 'sig', kid: `${alg}-${generation}` };
  }));
}

let current = await newKeys();
let next = [];
let former = [];

const server = createServer((request, response) => handle(request, response));
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://localhost:${server.address().port}`;

// The first key that fits signs. All nodes of a real provider change like this: one after the other,
// and with keys that they have published before.
let handle;
function publish() {
  const provider = new Provider(issuer, {
    jwks: { keys: [...current, ...next, ...former] },
    clients: [
      // Native, so that any port of loopback may be redirected to (RFC 8252 section 7.3).
      {
        client_id: 'convotic',
        client_secret: 'a secret: with "marks" & spaces%',
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/auth/callback'],
      },
      ...ALGORITHMS.map((alg) => ({
        client_id: `convotic-${alg}`,
        client_secret: 'known to the tests',
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/auth/callback'],
        id_token_signed_response_alg: alg,
      })),
      {
        client_id: 'machine',
        client_secret: 'known to the tests',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    pkce: { required: () => true },
    cookies: { keys: ['of no consequence'] },
    features: {
      clientCredentials: { enabled: true },
      // Access tokens of RFC 9068, signed as the last part of the resource's name says.
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: SCOPE,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: resource.split('/').pop() } },
        }),
      },
    },
  });
  handle = provider.callback();
}
publish();

const steps = {
  // A new key is published ahead of its first signature.
  announce: async () => { next = await newKeys(); },
  sign: async () => { [former, current, next] = [current, next, []]; },
  // The former key has signed nothing that is good any more.
  withdraw: async () => { former = []; },
};

say(JSON.stringify({ issuer }));
for await (const step of createInterface({ input: process.stdin })) {
  await steps[step]();
  publish();
  say(step);
}
process.exit(0);
