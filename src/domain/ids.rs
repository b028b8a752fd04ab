//! Public identifiers, and the two random values of the record protocol.
//!
//! Owns [`SessionId`], [`UserId`], [`Stamp`] and [`Nonce`]. None of them is a credential: knowing one grants nothing.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::{Builder, Uuid};

use super::{Random, Timestamp, random};

macro_rules! uuid_v7 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id: the moment in milliseconds, then 74 random bits (RFC 9562 §5.7).
            #[doc(hidden)]
            pub fn generate(now: Timestamp, random: &dyn Random) -> Self {
                let ms = u64::try_from(now.ms()).unwrap_or(0);
                Self(Builder::from_unix_timestamp_millis(ms, &random::bytes(random)).into_uuid())
            }

            /// When the id was made.
            pub fn made_at(self) -> Timestamp {
                let [a, b, c, d, e, f, ..] = self.0.into_bytes();
                let ms = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
                Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
            }

            /// The least id of this moment: greater than every id made before it.
            #[doc(hidden)]
            pub fn first_of(moment: Timestamp) -> Self {
                let ms = u64::try_from(moment.ms()).unwrap_or(0).min((1 << 48) - 1);
                Self(Uuid::from_u128(u128::from(ms) << 80))
            }

            /// Parses the hyphenated lower-case form, 36 characters, and no other.
            pub fn parse(text: &str) -> Option<Self> {
                parse_hyphenated(text).map(Self)
            }

            /// The id of these bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The id as a UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;

            fn try_from(text: String) -> Result<Self, NotAnId> {
                Self::parse(&text).ok_or(NotAnId(text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

uuid_v7! {
    /// A session's public id, in lists and for revocation; a UUIDv7. It survives renewals of the token. It is no
    /// credential: knowing it grants nothing.
    SessionId
}
impl SessionId {
    /// Replaces a session's name when its row is gone.
    #[doc(hidden)]
    pub const UNKNOWN: Self = Self(Uuid::nil());
}

uuid_v7! {
    /// A user's public id; a UUIDv7. It is no credential: knowing it grants nothing.
    UserId
}
uuid_v7! {
    /// An alert's name.
    AlertId
}

/// A text that is not an id: a row holds a value that this version never wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id")]
pub struct NotAnId(String);

/// The least UUIDv7 of this moment: ids from then on are not less, earlier ids are.
pub fn least_at(moment: Timestamp) -> Uuid {
    let ms = u64::try_from(moment.ms()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(ms, &[0; 10]).into_uuid()
}

/// Parses a UUID in its hyphenated lower-case form. Refuses braces, URNs, upper case and bare hex, so that one id has
/// one spelling.
pub fn parse_hyphenated(text: &str) -> Option<Uuid> {
    let canonical = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
    canonical.then(|| Uuid::try_parse(text).ok()).flatten()
}

/// Eight random bytes that the ledger assigned to one Redis process: the incarnation id. A record carries the stamp of
/// the process it was written to, and counts only when read from that process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp([u8; 8]);

impl Stamp {
    /// A new stamp, different from every other process's.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random::bytes(random))
    }

    /// A stamp as stored; `None` if it is not eight bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The stamp as stored.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stamp(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// Sixteen random bytes that mark one fill's lease on a record's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// A new nonce, different from every other fill's.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random::bytes(random))
    }

    /// The nonce's bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let now = Timestamp::from_ms(1_795_331_082_007);
        let id = SessionId::generate(now, &SystemRandom);
        assert_eq!((id.uuid().get_version_num(), id.made_at()), (7, now));
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn an_id_has_one_spelling() {
        let text = "01937c5e-7b1a-7c3d-8e4f-001122334455";
        assert!(SessionId::parse(text).is_some());
        for other in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
            format!("{text} "),
            String::new(),
        ] {
            assert!(SessionId::parse(&other).is_none(), "{other}");
        }
    }
}
