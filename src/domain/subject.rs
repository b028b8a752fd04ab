//! Subjects: users whom an application has verified, by the application's own name for them.
//!
//! Owns what such a name and the claims about a user may be. The application vouches for both; here they are only text.

use std::fmt;

use serde_json::{Map, Value};

use super::Email;
use super::email::{is_invisible, turns_text};

/// Longest subject, in bytes.
pub const MAX_SUBJECT: usize = 255;
/// Largest claims, in bytes of JSON.
pub const MAX_CLAIMS: usize = 2 * 1024;

/// The application's own name for a user: an id or an address, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

/// A subject or claims that cannot be stored; says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSubject(pub &'static str);

impl Subject {
    /// Reads a subject.
    pub fn parse(text: &str) -> Result<Self, InvalidSubject> {
        if text.is_empty() || text.len() > MAX_SUBJECT {
            return Err(InvalidSubject("A subject has 1 to 255 bytes."));
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidSubject("A subject cannot contain control characters."));
        }
        if text.chars().any(turns_text) || text.chars().all(|c| is_invisible(c) || c.is_whitespace()) {
            return Err(InvalidSubject(
                "A subject cannot contain characters that reverse text, or only invisible ones.",
            ));
        }
        if [".", ".."].contains(&text) {
            return Err(InvalidSubject("A subject cannot be . or .., which a path cannot name."));
        }
        if text.trim() != text {
            return Err(InvalidSubject("A subject cannot begin or end with white space."));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an application says about a user: a JSON object of at most two KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims(String);

impl Claims {
    /// Reads claims.
    pub fn of(claims: &Map<String, Value>) -> Result<Self, InvalidSubject> {
        let text = serde_json::to_string(claims).map_err(|_| InvalidSubject("Claims are a JSON object."))?;
        if text.len() > MAX_CLAIMS {
            return Err(InvalidSubject("Claims have at most 2048 bytes of JSON."));
        }
        if claims.iter().any(|(key, value)| key.contains('\0') || has_nul(value)) {
            return Err(InvalidSubject("Claims cannot contain a NUL."));
        }
        Ok(Self(text))
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an application says about a user now. Of each field: none leaves it as it is, an empty one clears it.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The address.
    pub email: Option<Option<Email>>,
    /// The name to show.
    pub name: Option<Option<String>>,
    /// Further claims.
    pub claims: Option<Option<Claims>>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subject_is_any_visible_text() {
        for text in ["1", "auth0|5f7c", "ana@example.org", "urn:shop:42", "名前", &"x".repeat(255), "a b/c?d"] {
            assert_eq!(Subject::parse(text).unwrap().as_str(), text);
        }
        for text in ["", " 1", "1\n", "a\0b", "\u{85}", ".", "..", "\u{200b}", "a\u{202e}b", &"x".repeat(256)] {
            assert!(Subject::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn claims_are_an_object_of_bounded_size() {
        let claims = |value: Value| Claims::of(value.as_object().unwrap());
        assert_eq!(claims(json!({ "plan": "gold" })).unwrap().to_string(), r#"{"plan":"gold"}"#);
        assert!(claims(json!({ "a": "x".repeat(2_048) })).is_err());
        for nul in [json!({ "a": "\0" }), json!({ "a\0": 1 }), json!({ "a": [{ "b": ["\0"] }] })] {
            assert!(claims(nul).is_err());
        }
        assert!(claims(json!({ "a": "\\u0000" })).is_ok(), "letters that look like one");
    }
}
