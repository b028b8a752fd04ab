//! Services: applications that have the sessions of their own users here, and what they may do.
//!
//! Owns the name and the scopes of a service. Must never know a secret: see [`super::ServiceSecret`].

use std::fmt;
use std::str::FromStr;

/// Longest name of a service, in bytes.
const MAX_NAME: usize = 32;

/// The name of a service: up to 32 lower-case letters, digits, dots, dashes and underscores. It names the actor in the audit
/// log, so it cannot be taken for a sentence.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName {
    bytes: [u8; MAX_NAME],
    length: u8,
}

/// The text is not the name of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a service's name has 1 to 32 lower-case letters, digits, dots, dashes and underscores, and begins with a letter"
)]
pub struct NotAServiceName;

impl ServiceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl FromStr for ServiceName {
    type Err = NotAServiceName;

    fn from_str(text: &str) -> Result<Self, NotAServiceName> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) || !text.bytes().all(fits) {
            return Err(NotAServiceName);
        }
        let mut bytes = [0; MAX_NAME];
        bytes.get_mut(..text.len()).ok_or(NotAServiceName)?.copy_from_slice(text.as_bytes());
        Ok(Self { bytes, length: u8::try_from(text.len()).map_err(|_| NotAServiceName)? })
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What a service may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Issue sessions to users whom it has verified.
    Issue,
    /// Learn whose session a token opens.
    Introspect,
    /// List and end the sessions of its users, and disable these users.
    Revoke,
    /// See what administrators see.
    AdminRead,
    /// Change what administrators may change; does not include seeing it.
    AdminWrite,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 5] = [Self::Issue, Self::Introspect, Self::Revoke, Self::AdminRead, Self::AdminWrite];

    /// The scope's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Introspect => "introspect",
            Self::Revoke => "revoke",
            Self::AdminRead => "admin.read",
            Self::AdminWrite => "admin.write",
        }
    }
}

/// The word names no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scopes are issue, introspect, revoke, admin.read and admin.write")]
pub struct NotAScope;

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Self, NotAScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or(NotAScope)
    }
}

/// The scopes of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Whether it has this one.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// The scopes as stored. Words that this version does not know grant nothing.
    pub fn parse(stored: &str) -> Self {
        stored.split(' ').filter_map(|word| word.parse().ok()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        let mut all: Vec<_> = scopes.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word() {
        for name in ["shop", "a", "shop-2.eu_west", &"x".repeat(32)] {
            assert_eq!(name.parse::<ServiceName>().unwrap().as_str(), name);
        }
        for text in ["", "2shop", "-x", "Shop", "my shop", "shöp", "a\0", &"x".repeat(33), "server/x"] {
            assert_eq!(text.parse::<ServiceName>(), Err(NotAServiceName), "{text:?}");
        }
    }

    #[test]
    fn scopes_are_stored_as_words_and_unknown_words_grant_nothing() {
        let scopes: Scopes = [Scope::Revoke, Scope::Issue, Scope::Issue].into_iter().collect();
        assert_eq!(scopes.to_string(), "issue revoke");
        assert_eq!(Scopes::parse("issue revoke"), scopes);
        assert!(!scopes.has(Scope::Introspect));
        assert_eq!(Scopes::parse("everything issues  ISSUE admin"), Scopes::default());
        assert!(!Scopes::parse("admin.write").has(Scope::AdminRead), "one does not include the other");
    }
}
