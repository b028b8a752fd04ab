// A service that gets access tokens and verifies them with jose, for tests/api/token_libraries.rs.
//
// verify: for so many seconds; any token that is refused ends it. refuse: a token whose key is over, whatever its `exp`.

import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from "jose";

const [task, base, issuer, ...rest] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(`${base}/.well-known/jwks.json`));
const rules = { algorithms: ["ES256"], issuer, audience: "orders", typ: "at+jwt" };

if (task === "refuse") {
  try {
    await jwtVerify(rest[0], keys, { ...rules, clockTolerance: 86_400 });
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) process.exit(0);
    throw error;
  }
  throw new Error("it was accepted");
}

const [secret, cookie, seconds] = rest;
const kids = [];
let verified = 0;
let first;
const until = performance.now() + Number(seconds) * 1000;
while (performance.now() < until) {
  const answer = await fetch(`${base}/introspect`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, accept: "application/jwt" },
    body: new URLSearchParams({ token: cookie }),
  });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
  const token = await answer.text();
  await jwtVerify(token, keys, rules);
  verified += 1;
  first ??= token;
  const { kid } = decodeProtectedHeader(token);
  if (!kids.includes(kid)) kids.push(kid);
  // Other tests run beside it.
  await new Promise((resolve) => setTimeout(resolve, 20));
}
console.log(JSON.stringify({ verified, kids, first }));
