//! E-mail addresses: one account for all spellings of one address.
//!
//! Owns [`Email`]. Must never be used to decide whether mail arrives: only sending one can tell.

use caseless::default_case_fold_str;
use unicode_normalization::UnicodeNormalization;

/// Longest address accepted, in characters (RFC 5321 §4.5.3.1.3 allows a path of 256 with its brackets).
const MAX_CHARS: usize = 254;

/// An address that looks like one. Compared by [`Email::key`], shown as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    typed: String,
    key: String,
}

/// Why a text is not an e-mail address, in words for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidEmail(pub &'static str);

impl Email {
    /// Reads an address: something, one `@`, a host; no space and no control character.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let typed: String = text.trim().nfc().collect();
        if typed.is_empty() {
            return Err(InvalidEmail("Enter an e-mail address."));
        }
        if typed.chars().count() > MAX_CHARS {
            return Err(InvalidEmail("An e-mail address has at most 254 characters."));
        }
        if typed.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(InvalidEmail("An e-mail address has no spaces."));
        }
        if typed.chars().any(is_invisible) {
            return Err(InvalidEmail("The e-mail address has a character in it that cannot be seen."));
        }
        let (local, host) = typed.rsplit_once('@').unwrap_or_default();
        let host_is_whole = !host.is_empty() && !host.starts_with('.') && !host.ends_with('.') && !host.contains("..");
        if local.is_empty() || local.contains('@') || !host_is_whole {
            return Err(InvalidEmail("An e-mail address looks like name@example.org."));
        }
        let key = Self::key_of(&typed);
        Ok(Self { typed, key })
    }

    /// The form by which addresses are compared: NFC, case-folded, NFC again. For any text, an address or not,
    /// so that a sign-in with nonsense takes the same road as one with an unknown address.
    pub fn key_of(text: &str) -> String {
        let composed: String = text.trim().nfc().collect();
        default_case_fold_str(&composed).nfc().collect()
    }

    /// The address as its owner typed it.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// What makes two addresses the same account.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A character that shows nothing, or turns what follows around: with it, two addresses look like one (Unicode's format
/// characters and what it says to ignore by default).
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// A character that turns the direction of what follows around (Unicode's Bidi_Control): in a text among others it moves
/// those. The letters of a language that is written from right to left need none.
pub fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_have_one_key() {
        let key = |text| Email::parse(text).unwrap().key().to_owned();
        assert_eq!(key("Ana@Example.ORG"), key(" ana@example.org "));
        assert_eq!(key("jos\u{e9}@example.org"), key("JOSE\u{301}@example.org"));
        assert_eq!(key("STRASSE@example.org"), key("stra\u{df}e@example.org"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_sentence() {
        for text in [
            "",
            "ana",
            "@example.org",
            "ana@",
            "a b@example.org",
            "a@b@c",
            "a@.org",
            "a@b..c",
            "a\0@b.c",
            "a@b\u{200b}.c",
            "\u{202e}a@b.c",
            "a\u{ad}@b.cc",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
        assert!(Email::parse(&format!("{}@example.org", "a".repeat(250))).is_err());
    }
}
