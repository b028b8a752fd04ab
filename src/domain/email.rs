//! E-mail addresses: all spellings of one address belong to one account, and no others.
//!
//! Owns [`Email`] and the equality of addresses: the local part ignores case letter by letter, and the domain is
//! compared by its A-label under UTS 46 (non-transitional). `ß` never equals `ss`, and no ligature, full-width or
//! dotless letter equals another letter: a look-alike names no account. Must never decide whether mail arrives: only
//! sending it can tell.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

/// Longest address accepted, in characters (RFC 5321 §4.5.3.1.3 allows a path of 256 with its brackets).
const MAX_CHARS: usize = 254;

/// Characters that an address may contain only in quotation marks, or only as delimiters (RFC 5322 §3.2.3).
const SPECIALS: [char; 12] = ['"', '(', ')', ',', ':', ';', '<', '>', '[', '\\', ']', '@'];

/// A well-formed address. Compared by [`Email::key`] and shown as typed, except for a domain with letters outside
/// ASCII: the domain is shown in the letters that it maps to, with every script's full stop as a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    typed: String,
    key: String,
}

/// Why a text is not an e-mail address, in words for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidEmail(pub &'static str);

const EMPTY: InvalidEmail = InvalidEmail("Enter an e-mail address.");
const TOO_LONG: InvalidEmail = InvalidEmail("An e-mail address has at most 254 characters.");
const BLANK: InvalidEmail = InvalidEmail("An e-mail address cannot contain spaces.");
const INVISIBLE: InvalidEmail = InvalidEmail("The e-mail address contains an invisible character.");
const NO_ADDRESS: InvalidEmail = InvalidEmail("An e-mail address looks like name@example.org.");

impl Email {
    /// Parses an address: something, one `@`, a host name; no space, no control character, nothing in quotation marks.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let typed: String = tidy(text).nfc().collect();
        if typed.is_empty() {
            return Err(EMPTY);
        }
        if typed.chars().count() > MAX_CHARS {
            return Err(TOO_LONG);
        }
        if typed.contains(' ') {
            return Err(BLANK);
        }
        Self::check_visible(&typed)?;
        let (local, shown) = typed.rsplit_once('@').unwrap_or_default();
        if local.is_empty() || local.contains(SPECIALS) {
            return Err(NO_ADDRESS);
        }
        let domain = a_label(shown).ok_or(NO_ADDRESS)?;
        let key = format!("{}@{domain}", fold(local));
        let typed = match shown.is_ascii() {
            true => typed,
            false => format!("{local}@{}", in_letters(&domain).unwrap_or(domain)),
        };
        Ok(Self { typed, key })
    }

    /// Refuses invisible characters in the typed text, even among spaces. Reveals nothing about accounts: no address
    /// has such a character.
    pub fn check_visible(text: &str) -> Result<(), InvalidEmail> {
        let text = tidy(text);
        if text.chars().any(|c| c != ' ' && (c.is_whitespace() || c.is_control())) {
            return Err(BLANK);
        }
        let domain = text.rsplit_once('@').map_or("", |(_, domain)| domain);
        // A domain may contain a joiner where IDNA gives it a meaning: there it shapes the letters beside it.
        let joins = domain.contains(is_joiner) && a_label(domain).is_some();
        let local = text.strip_suffix(domain).unwrap_or(text);
        if local.contains(is_invisible) || domain.chars().any(|c| is_invisible(c) && !(joins && is_joiner(c))) {
            return Err(INVISIBLE);
        }
        Ok(())
    }

    /// [`Email::key`] of any text. A text that is not an address gets a name that no account has, so that a sign-in
    /// with it takes the same path as one with an unknown address.
    pub fn key_of(text: &str) -> String {
        // No key begins with a space.
        Self::parse(text).map_or_else(|_| format!(" {}", fold(tidy(text))), |email| email.key)
    }

    /// The address as its owner typed it, with the domain in the letters that it maps to.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// The account's key: equal for all spellings of one address.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The text without the blanks and invisible characters that copying adds at its ends.
fn tidy(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Lower-cases letter by letter, as case-insensitive mail servers do: a letter becomes its own small letter, never
/// another one or several, as in full case folding (`ß` to `ss`, `ﬁ` to `fi`). Only sigma has two small forms.
fn fold(text: &str) -> String {
    let small = text.nfc().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c });
    small.nfc().collect()
}

/// The domain as DNS stores it, if it has such a form: lower case, Punycode.
fn a_label(domain: &str) -> Option<String> {
    let ascii =
        Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify);
    ascii.ok().map(std::borrow::Cow::into_owned)
}

/// The domain of a key in the letters that people write, if any is not ASCII.
pub fn in_letters(domain: &str) -> Option<String> {
    let (letters, valid) = Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    (valid.is_ok() && letters != domain).then(|| letters.into_owned())
}

/// A character that shows nothing or reverses the text after it, so that two addresses look alike (Unicode's format
/// characters and its default ignorable ones).
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// A character that joins its neighbours or separates them (RFC 5892, CONTEXTJ).
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// A character that reverses the direction of the text after it (Unicode's Bidi_Control), including other texts beside
/// it. Languages written from right to left do not need these characters.
pub fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> String {
        Email::parse(text).unwrap_or_else(|why| panic!("{text:?}: {why}")).key().to_owned()
    }

    #[test]
    fn spellings_of_one_address_have_one_key() {
        for (one, other) in [
            ("Ana@Example.ORG", " ana@example.org "),
            ("jos\u{e9}@example.org", "JOSE\u{301}@example.org"),
            ("STRA\u{1e9e}E@example.org", "stra\u{df}e@example.org"),
            ("ben@k\u{f6}ln.example", "ben@xn--kln-sna.example"),
            ("ben@KO\u{308}LN.example", "ben@XN--KLN-SNA.example"),
            ("ben@fa\u{df}.example", "ben@xn--fa-hia.example"),
            ("ana@example\u{3002}org", "ana@example.org"),
            ("ana@\u{ff25}xample.org", "ana@example.org"),
            ("\u{39f}\u{394}\u{39f}\u{3a3}@example.org", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}@example.org"),
            ("\u{212a}im@example.org", "kim@example.org"), // the Kelvin sign is a K in every normal form
            ("\u{feff}ana@example.org\u{200b}", "ana@example.org"),
        ] {
            assert_eq!(key(one), key(other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn an_address_is_shown_as_it_was_typed_but_for_the_letters_of_its_domain() {
        for (text, shown) in [
            ("Ana@Example.ORG", "Ana@Example.ORG"),
            ("ana@XN--kln-sna.example", "ana@XN--kln-sna.example"),
            ("Ana@K\u{d6}LN.Example", "Ana@k\u{f6}ln.example"),
            ("ana@example\u{3002}org", "ana@example.org"),
            ("ana@example\u{ff0e}org", "ana@example.org"),
            ("ana\u{ff0e}b@\u{ff25}xample\u{ff61}org", "ana\u{ff0e}b@example.org"),
        ] {
            assert_eq!(Email::parse(text).unwrap().typed(), shown, "{text:?}");
        }
    }

    #[test]
    fn what_only_looks_alike_is_another_address() {
        for (one, other) in [
            ("info@stra\u{df}e.example", "info@strasse.example"),
            ("stra\u{df}e@example.org", "strasse@example.org"),
            ("\u{fb01}ona@example.org", "fiona@example.org"),
            ("\u{ff41}na@example.org", "ana@example.org"),
            ("\u{131}da@example.org", "ida@example.org"),
            ("\u{130}da@example.org", "ida@example.org"),
            ("\u{17f}am@example.org", "sam@example.org"),
            ("\u{b2}ana@example.org", "2ana@example.org"),
            ("\u{430}na@example.org", "ana@example.org"),
            ("b\u{fc}ro@example.org", "buero@example.org"),
            ("ana.b@example.org", "anab@example.org"),
            ("ana+x@example.org", "ana@example.org"),
        ] {
            assert_ne!(key(one), key(other), "{one:?} and {other:?}");
        }
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
            "a@example.org.",
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "\"a\"@example.org",
            "\"a b\"@example.org",
            "Ana <ana@example.org>",
            "<ana@example.org>",
            "ana(work)@example.org",
            "a,b@example.org",
            "a@exa_mple.org",
            "a@-example.org",
            "a@xn--.example",
            "a@xn--0.example",
            "a\u{ff20}example.org",
            "a\0@b.c",
            "a@b\u{200b}.c",
            "\u{202e}a@b\u{202e}.c",
            "a\u{ad}@b.cc",
            "a@b\u{200c}b.cc",
            "a\u{200d}@\u{646}\u{627}\u{645}\u{647}\u{200c}\u{627}\u{6cc}.cc",
            "a@\u{646}\u{627}\u{645}\u{647}\u{200c}\u{627}\u{6cc}\u{ad}.cc",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
            let key = Email::key_of(text);
            assert!(key.starts_with(' ') && Email::parse(key.trim()).map_or(true, |it| it.key() != key), "{text:?}");
        }
        assert!(Email::parse(&format!("{}@example.org", "a".repeat(250))).is_err());
        assert!(Email::parse(&format!("a@{}.org", "b".repeat(64))).is_err(), "no label is so long");
    }

    /// Letters that are confused with others, and the characters around them.
    const LETTERS: &str =
        "aAkKsSiIßẞſıİﬁﬀσςΣéÉе\u{301}\u{212a}\u{212b}åÅＡａⅷ²µμǆǅŒœ.+-_'1０\u{200b}\u{ad}\u{200d}@ \"";

    fn texts() -> impl Strategy<Value = String> {
        let one_of = |letters: &'static str| proptest::sample::select(letters.chars().collect::<Vec<_>>());
        let part = move || proptest::collection::vec(one_of(LETTERS), 1..6).prop_map(String::from_iter);
        let domains = ["example.org", "straße.example", "strasse.example", "köln.example", "xn--kln-sna.example"];
        let domain = prop_oneof![proptest::sample::select(domains.map(str::to_owned).to_vec()), part()];
        (part(), domain).prop_map(|(local, domain)| format!("{local}@{domain}"))
    }

    /// Whether a case-insensitive server may deliver both to one mailbox: letter by letter, and no other way.
    fn is_one_mailbox(one: &str, other: &str) -> bool {
        let split = |text: &str| tidy(text).rsplit_once('@').map(|(local, domain)| (local.to_owned(), a_label(domain)));
        let (Some((one, one_domain)), Some((other, other_domain))) = (split(one), split(other)) else { return false };
        let small = |c: char| c.to_lowercase().to_string().replace('ς', "σ");
        let letters = |text: &str| text.nfd().collect::<Vec<_>>();
        let (one, other) = (letters(&one), letters(&other));
        one_domain == other_domain
            && one.len() == other.len()
            && one.into_iter().zip(other).all(|(a, b)| small(a) == small(b))
    }

    proptest! {
        /// Two texts with one account are one mailbox: letter by letter, in any case, at one domain.
        #[test]
        fn two_addresses_of_one_key_are_one_mailbox(one in texts(), other in texts()) {
            if let (Ok(a), Ok(b)) = (Email::parse(&one), Email::parse(&other))
                && a.key() == b.key()
            {
                prop_assert!(is_one_mailbox(&one, &other), "{:?} and {:?}", one, other);
            }
        }

        #[test]
        fn a_key_is_an_address_with_that_key_and_nonsense_has_none(text in texts()) {
            let key = Email::key_of(&text);
            match Email::parse(&text) {
                Ok(email) => {
                    prop_assert_eq!(email.key(), &key);
                    prop_assert_eq!(Email::key_of(&key), key.clone());
                    prop_assert_eq!(Email::key_of(email.typed()), key);
                }
                Err(_) => prop_assert!(key.starts_with(' ')),
            }
        }

        #[test]
        fn any_text_has_a_key_and_none_panics(text in "\\PC*|.*") {
            let key = Email::key_of(&text);
            prop_assert_eq!(Email::parse(&text).is_ok(), !key.starts_with(' '));
        }
    }
}
