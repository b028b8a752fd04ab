//! JWT cryptography: the algorithms that sessiond signs and verifies JSON Web Tokens with, over ring, which TLS brings.
//!
//! Owns the provider for the jsonwebtoken crate: it signs ES256, and verifies HS256, RS256, ES256 and EdDSA. Any other
//! algorithm is an error, `none` included: RFC 8725 §3.1. Must never choose an algorithm by a token's header.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use sha2::{Digest, Sha256};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: digest,
    },
};

/// Has the jsonwebtoken crate use these algorithms in this process. To be called before any use of it; an application
/// that embeds this crate may have installed a provider of its own, which then stays.
pub fn install() {
    let _installed_before = PROVIDER.install_default();
}

fn unsupported() -> jsonwebtoken::errors::Error {
    new_error(ErrorKind::UnsupportedAlgorithm)
}

fn digest(data: &[u8], hash: ThumbprintHash) -> Result<Vec<u8>> {
    match hash {
        ThumbprintHash::SHA256 => Ok(Sha256::digest(data).to_vec()),
        _ => Err(unsupported()),
    }
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if (*algorithm, key.family()) != (Algorithm::ES256, AlgorithmFamily::Ec) {
        return Err(unsupported());
    }
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_bytes(), &random);
    Ok(Box::new(Es256 { pair: pair.map_err(|_| new_error(ErrorKind::InvalidEcdsaKey))?, random }))
}

struct Es256 {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer<Vec<u8>> for Es256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        let signature = self.pair.sign(&self.random, message).map_err(|_| Error::new())?;
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for Es256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    // The key's family decides; an algorithm of another one is refused.
    let kind = match (key.family(), algorithm) {
        (AlgorithmFamily::Hmac, Algorithm::HS256) => {
            Kind::Secret(hmac::Key::new(hmac::HMAC_SHA256, key.try_get_as_bytes()?))
        }
        (AlgorithmFamily::Rsa, Algorithm::RS256) => Kind::Rsa,
        (AlgorithmFamily::Ec, Algorithm::ES256) => Kind::Curve(&ECDSA_P256_SHA256_FIXED),
        (AlgorithmFamily::Ed, Algorithm::EdDSA) => Kind::Curve(&ED25519),
        _ => return Err(new_error(ErrorKind::InvalidAlgorithm)),
    };
    Ok(Box::new(OneKey { algorithm: *algorithm, key: key.clone(), kind }))
}

enum Kind {
    Secret(hmac::Key),
    Rsa,
    Curve(&'static dyn VerificationAlgorithm),
}

struct OneKey {
    algorithm: Algorithm,
    key: DecodingKey,
    kind: Kind,
}

impl Verifier<Vec<u8>> for OneKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let right = match (&self.kind, self.key.kind()) {
            (Kind::Secret(secret), _) => hmac::verify(secret, message, signature),
            (Kind::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Kind::Rsa, DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(message, signature)
            }
            (Kind::Curve(algorithm), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(*algorithm, point).verify(message, signature)
            }
            (Kind::Curve(_), DecodingKeyKind::RsaModulusExponent { .. }) => Err(ring::error::Unspecified),
        };
        right.map_err(|_| Error::new())
    }
}

impl JwtVerifier for OneKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
