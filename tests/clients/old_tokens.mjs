// Keys and tokens of jose, for tests/api/exchange/libraries.rs: of each algorithm a JWK set or a secret, and a token with the claims
// that it is given.
import { createSecretKey, randomBytes } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';

const [folder, json] = process.argv.slice(2);
const claims = JSON.parse(json);

function write(name, text) {
  writeFileSync(`${folder}/${name}`, text);
  chmodSync(`${folder}/${name}`, 0o600);
}

function sign(alg, key, header = {}) {
  return new SignJWT(claims).setProtectedHeader({ alg, ...header }).sign(key);
}

const secret = randomBytes(32);
write('HS256.secret', `base64:${secret.toString('base64')}`);
write('HS256.jwt', await sign('HS256', createSecretKey(secret)));

const keys = [];
for (const alg of ['RS256', 'ES256', 'EdDSA']) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  write(`${alg}.pem`, await exportSPKI(publicKey));
  write(`${alg}.jwt`, await sign(alg, privateKey));
  write(`${alg}.named.jwt`, await sign(alg, privateKey, { kid: alg, typ: 'at+jwt' }));
  keys.push({ ...(await exportJWK(publicKey)), kid: alg, alg, use: 'sig' });
}
write('set.json', JSON.stringify({ keys }));
