//! What an account is found by: the beginnings of its names.
//!
//! Owns which names an account has and how a query is compared with them: the address, the parts of what stands before
//! its `@`, its host, the name and each word of it, all case-folded. Must never look inside of a word: an index serves
//! beginnings.

use std::collections::BTreeSet;

use super::Email;

/// Parts of one address or one name that are names of their own; whatever comes after them is found as a whole only.
const MAX_PARTS: usize = 8;

/// The names of an account, each once.
pub fn names(email_key: &str, name: Option<&str>) -> BTreeSet<String> {
    let (local, host) = email_key.rsplit_once('@').unwrap_or((email_key, ""));
    let name = fold(name.unwrap_or_default());
    let parts = local.split(['.', '_', '-', '+']).skip(1).take(MAX_PARTS);
    let words = name.split_whitespace().take(MAX_PARTS);
    let all = [email_key, host, name.as_str()].into_iter().chain(parts).chain(words);
    all.filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

/// A query as names are compared with it; none when it asks for everything. `@example.org` asks for the host.
pub fn prefix(query: &str) -> Option<String> {
    let folded = fold(query);
    let prefix = folded.trim_start_matches('@');
    (!prefix.is_empty()).then(|| prefix.to_owned())
}

/// Case-folded, with one space where there are several.
fn fold(text: &str) -> String {
    let folded = Email::key_of(text);
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(query: &str) -> bool {
        let names = names("ana.silva+news@mail.example.org", Some("  Ána  Lía da Silva "));
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
}
