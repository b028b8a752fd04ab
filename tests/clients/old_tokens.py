"""Keys and tokens of PyJWT, for tests/api/exchange/libraries.rs: of each algorithm the file that a server verifies it with, and a
token with the claims that it is given."""

import base64
import json
import sys
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

folder, claims = Path(sys.argv[1]), json.loads(sys.argv[2])


def write(name: str, text: str) -> None:
    file = folder / name
    file.write_text(text)
    file.chmod(0o600)


def pem(key) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


secret = "a secret of PyJWT with thirty-two bytes"
write("HS256.secret", secret + "\n")
write("HS256.jwt", jwt.encode(claims, secret, algorithm="HS256"))

keys = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
public = []
for algorithm, key in keys.items():
    write(f"{algorithm}.pem", pem(key))
    write(f"{algorithm}.jwt", jwt.encode(claims, key, algorithm=algorithm))
    write(f"{algorithm}.named.jwt", jwt.encode(claims, key, algorithm=algorithm, headers={"kid": algorithm}))
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    public.append({**jwk, "kid": algorithm, "use": "sig"})
write("set.json", json.dumps({"keys": public}))

# The old PKCS #1 form, a weak key and another curve.
write("RS256.pkcs1.pem", keys["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode())
write("weak.pem", pem(rsa.generate_private_key(65537, 1024)))
write("p384.pem", pem(ec.generate_private_key(ec.SECP384R1())))
write("secp256k1.pem", pem(ec.generate_private_key(ec.SECP256K1())))


# What PyJWT refuses to make: the public key as the secret of an HMAC, and the name of one key with the signature of another.
def part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hmac_by(key: bytes, header: dict) -> str:
    import hmac

    message = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{message}.{part(hmac.digest(key, message.encode(), 'sha256'))}"


for number, text in enumerate([pem(keys["RS256"]), pem(keys["RS256"]).strip()]):
    write(f"confused.{number}.jwt", hmac_by(text.encode(), {"alg": "HS256", "typ": "JWT"}))
write("confused.named.jwt", hmac_by(pem(keys["RS256"]).encode(), {"alg": "HS256", "kid": "RS256"}))
other = rsa.generate_private_key(65537, 2048)
write("wrong.RS256.jwt", jwt.encode(claims, other, algorithm="RS256"))
write("wrong.name.jwt", jwt.encode(claims, other, algorithm="RS256", headers={"kid": "RS256"}))
write("unknown.name.jwt", jwt.encode(claims, keys["RS256"], algorithm="RS256", headers={"kid": "another"}))
write("crossed.name.jwt", jwt.encode(claims, keys["ES256"], algorithm="ES256", headers={"kid": "RS256"}))
write("RS384.jwt", jwt.encode(claims, keys["RS256"], algorithm="RS384"))
write("PS256.jwt", jwt.encode(claims, keys["RS256"], algorithm="PS256"))
write("none.jwt", jwt.encode(claims, None, algorithm="none"))
