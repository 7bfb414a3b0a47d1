// Tokens of the library jose, one JSON line each: the algorithm, the key as a JWK, and the token.

import { SignJWT, exportJWK, generateKeyPair, generateSecret } from 'jose';

const [claims, ...algorithms] = process.argv.slice(1).filter((given) => given !== '--');
for (const alg of algorithms) {
  const isSecret = alg.startsWith('HS');
  const extractable = true;
  const key = isSecret ? await generateSecret(alg, { extractable }) : await generateKeyPair(alg, { extractable });
  const [signs, verifies] = isSecret ? [key, key] : [key.privateKey, key.publicKey];
  const token = await new SignJWT(JSON.parse(claims)).setProtectedHeader({ alg, typ: 'JWT', kid: alg }).sign(signs);
  console.log(JSON.stringify({ alg, jwk: { ...await exportJWK(verifies), alg, kid: alg }, token }));
}
