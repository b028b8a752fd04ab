"""A service that gets access tokens and verifies them with PyJWT, for tests/api/token_libraries.rs.

verify: for so many seconds; any token that is refused ends it. refuse: a token whose key is over, whatever its `exp`."""

import json
import sys
import time
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import jwt

task, base, issuer, *rest = sys.argv[1:]
keys = jwt.PyJWKClient(f"{base}/.well-known/jwks.json", timeout=5)


def verified(token: str, **options) -> dict:
    key = keys.get_signing_key_from_jwt(token)
    rules = {"algorithms": ["ES256"], "issuer": issuer, "audience": "orders", "options": options}
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    return jwt.decode(token, key, **rules)


if task == "refuse":
    try:
        verified(rest[0], verify_exp=False)
    except jwt.PyJWKClientError:
        sys.exit(0)
    sys.exit("it was accepted")

secret, cookie, seconds = rest
question = Request(
    f"{base}/introspect",
    data=urlencode({"token": cookie}).encode(),
    headers={"Authorization": f"Bearer {secret}", "Accept": "application/jwt"},
)
count, kids, first, until = 0, [], None, time.monotonic() + float(seconds)
while time.monotonic() < until:
    with urlopen(question, timeout=10) as answer:
        token = answer.read().decode()
    verified(token)
    count, first = count + 1, first or token
    kid = jwt.get_unverified_header(token)["kid"]
    if kid not in kids:
        kids.append(kid)
    # Other tests run beside it.
    time.sleep(0.02)
print(json.dumps({"verified": count, "kids": kids, "first": first}))
