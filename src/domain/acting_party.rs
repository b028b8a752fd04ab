//! Acting party: who uses a session in its user's place, an agent or an administrator (the `act` claim of RFC 8693).
//!
//! Owns the forms of the party and of an administrator's reason, and their one spelling in a record and in the ledger. The
//! party is named by whoever issues the session; here its id is only text.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::UserId;
use super::email::{is_invisible, turns_text};

/// Longest id of a party, in bytes.
pub const MAX_ID: usize = 64;
/// Longest reason, in characters.
pub const MAX_REASON: usize = 500;

/// What acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A program, such as an assistant.
    Agent,
    /// A person who administers.
    Admin,
}

impl ActorKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Agent, Self::Admin];

    /// The kind's name in the interface, in records and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Admin => "admin",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Who acts in a user's place. Serializes to an `act` claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ActingParty {
    /// Its id, as whoever issued the session names it.
    #[serde(rename = "sub")]
    #[schema(example = "assistant-7")]
    id: String,
    /// What it is.
    kind: ActorKind,
}

/// A party or a reason that is not accepted; says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidActor(pub &'static str);

impl ActingParty {
    /// The party of this kind with this id: 1 to 64 visible ASCII characters.
    pub fn new(kind: ActorKind, id: &str) -> Result<Self, InvalidActor> {
        let fits = (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self { id: id.to_owned(), kind })
        } else {
            Err(InvalidActor("An id has 1 to 64 visible ASCII characters."))
        }
    }

    /// An administrator of this server.
    pub fn administrator(user: UserId) -> Self {
        Self { id: user.to_string(), kind: ActorKind::Admin }
    }

    /// Parses what its display shows, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':')?;
        Self::new(ActorKind::parse(kind)?, id).ok()
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is.
    pub fn kind(&self) -> ActorKind {
        self.kind
    }
}

/// `agent:assistant-7`.
impl fmt::Display for ActingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.id)
    }
}

/// Why an administrator acts: for the user and for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Reads a reason: 1 to 500 characters after it is trimmed.
    pub fn parse(text: &str) -> Result<Self, InvalidActor> {
        let text = text.trim();
        if text.chars().all(|c| is_invisible(c) || c.is_whitespace()) {
            return Err(InvalidActor("Say why: the user reads it."));
        }
        if text.chars().count() > MAX_REASON {
            return Err(InvalidActor("A reason has at most 500 characters."));
        }
        if text.chars().any(|c| c.is_control() || turns_text(c)) {
            return Err(InvalidActor("A reason cannot contain control characters, or characters that reverse text."));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A party, and why it acts where somebody was asked: as the ledger stores them, in one text with a space between. An id
/// has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acting {
    /// Who acts.
    pub party: ActingParty,
    /// Why.
    pub reason: Option<Reason>,
}

impl Acting {
    /// Parses what its display shows, and nothing else.
    pub fn parse(stored: &str) -> Option<Self> {
        let (party, reason) = stored.split_once(' ').map_or((stored, None), |(party, reason)| (party, Some(reason)));
        let reason = reason.map(|text| Reason::parse(text).ok().filter(|reason| reason.0 == text));
        Some(Self { party: ActingParty::parse(party)?, reason: reason.map_or(Some(None), |reason| reason.map(Some))? })
    }
}

impl fmt::Display for Acting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "{} {}", self.party, reason.0),
            None => self.party.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_a_visible_word() {
        for id in ["a", "assistant-7", "a:b", "%&/\"'<>", &"x".repeat(64)] {
            let party = ActingParty::new(ActorKind::Agent, id).unwrap();
            assert_eq!(ActingParty::parse(&party.to_string()), Some(party));
        }
        for id in ["", "a b", "a\n", "ä", "\u{7f}", "a\0", &"x".repeat(65)] {
            assert!(ActingParty::new(ActorKind::Admin, id).is_err(), "{id:?}");
        }
        for text in ["", "agent", "agent:", ":x", "Agent:x", "robot:x", "agent:a b", " agent:x"] {
            assert_eq!(ActingParty::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_reason_is_one_line_that_says_something() {
        assert_eq!(Reason::parse("  Ticket 4711: wrong invoice  ").unwrap().as_str(), "Ticket 4711: wrong invoice");
        assert!(Reason::parse(&"é".repeat(500)).is_ok());
        for text in ["", "   ", "\u{200b}", "a\nb", "a\0", "a\u{202e}b", &"x".repeat(501)] {
            assert!(Reason::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_party_is_an_act_claim() {
        let party = ActingParty::new(ActorKind::Agent, "assistant-7").unwrap();
        assert_eq!(serde_json::to_value(party).unwrap(), serde_json::json!({ "sub": "assistant-7", "kind": "agent" }));
    }

    proptest! {
        #[test]
        fn what_is_stored_reads_back(admin in any::<bool>(), id in "[!-~]{1,64}", reason in proptest::option::of(".{1,60}")) {
            let kind = if admin { ActorKind::Admin } else { ActorKind::Agent };
            let reason = reason.and_then(|text| Reason::parse(&text).ok());
            let acting = Acting { party: ActingParty::new(kind, &id).unwrap(), reason };
            prop_assert_eq!(Acting::parse(&acting.to_string()), Some(acting));
        }

        #[test]
        fn what_reads_has_one_spelling(text in ".{0,80}") {
            if let Some(acting) = Acting::parse(&text) {
                prop_assert_eq!(acting.to_string(), text);
            }
        }
    }
}
