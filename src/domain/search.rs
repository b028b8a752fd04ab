//! What finds an account: the beginnings of its names.
//!
//! Owns the names of an account and how a query is compared with them: the address, the parts of its local part, its
//! host, the name and each word of the name, all case-folded. Must never match inside a word: an index serves
//! beginnings.

use std::collections::BTreeSet;

use caseless::default_case_fold_str;
use unicode_normalization::UnicodeNormalization;

use super::email::in_letters;

/// Most parts of an address or a name that count as names of their own; later parts are found only as part of the
/// whole.
const MAX_PARTS: usize = 8;

/// The names of an account, each once.
pub fn names(email_key: &str, name: Option<&str>, subject: Option<&str>) -> BTreeSet<String> {
    let (local, host) = email_key.rsplit_once('@').unwrap_or((email_key, ""));
    let name = fold(name.unwrap_or_default());
    // The host as people write it, beside its compared form.
    let written = in_letters(host).map(|letters| (format!("{local}@{letters}"), letters));
    let (address, letters) = written.unwrap_or_default();
    let parts = local.split(['.', '_', '-', '+']).skip(1).take(MAX_PARTS);
    let words = name.split_whitespace().take(MAX_PARTS);
    let all =
        [email_key, host, &address, &letters, &name, subject.unwrap_or_default()].into_iter().chain(parts).chain(words);
    all.map(fold).filter(|name| !name.trim().is_empty()).collect()
}

/// A query in the form that names are compared in; `None` if it asks for all. `@example.org` asks for the host.
pub fn prefix(query: &str) -> Option<String> {
    let folded = fold(query);
    let prefix = folded.trim_start_matches('@');
    (!prefix.is_empty()).then(|| prefix.to_owned())
}

/// Folds case fully, so that a search finds more rather than less, and merges repeated spaces.
fn fold(text: &str) -> String {
    let folded: String = default_case_fold_str(&text.nfc().collect::<String>()).nfc().collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(query: &str) -> bool {
        let names = names("ana.silva+news@mail.example.org", Some("  Ána  Lía da Silva "), Some("User-4711"));
        prefix(query).is_none_or(|prefix| names.iter().any(|name| name.starts_with(&prefix)))
    }

    #[test]
    fn an_account_is_found_by_the_beginning_of_its_address_host_and_name() {
        for query in [
            "",
            " ",
            "@",
            "ana.silva+news@mail.example.org",
            "ANA.S",
            "sil",
            "news",
            "mail.",
            "@mail.example",
            "\u{e1}na l\u{ed}a",
            "A\u{301}NA",
            "da",
            "l\u{ed}a",
        ] {
            assert!(finds(query), "{query:?}");
        }
        for query in ["ilva", "example.org", "ana silva", "org", "%", "_", "\0"] {
            assert!(!finds(query), "{query:?}");
        }
    }

    #[test]
    fn a_domain_is_found_in_its_letters_and_as_it_is_compared() {
        let names = names("ben@xn--kln-sna.example", None, None);
        for query in ["ben@k\u{f6}ln", "K\u{d6}LN", "@xn--kln", "ben@xn--kln-sna.example"] {
            let prefix = prefix(query).unwrap();
            assert!(names.iter().any(|name| name.starts_with(&prefix)), "{query}: {names:?}");
        }
    }
}
