//! The list of write transactions in the documentation, held to the code.
//!
//! Owns the reading of both: each function that opens one is a row, and each row is such a function.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const LIST: &str = include_str!("../../docs/transactions.md");

/// `file::function` of each function under `folder` that opens a write transaction.
fn opened(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(folder).expect("inside").with_extension("").display().to_string();
                let source = fs::read_to_string(&path).expect("a source");
                found.extend(opened_in(&source).map(|function| format!("{name}::{function}")));
            }
        }
    }
    found
}

fn opened_in(source: &str) -> impl Iterator<Item = String> {
    let mut function = String::new();
    source.lines().filter_map(move |line| {
        let words: Vec<&str> = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        // Without a name it is a type.
        let named = words.windows(2).find(|pair| pair[0] == "fn" && !pair[1].is_empty());
        if let Some(pair) = named.filter(|_| !line.trim_start().starts_with("//")) {
            function = pair[1].to_owned();
        }
        let opens = [".write(", ".write_aside(", ".write_regardless("].iter().any(|call| line.contains(call));
        opens.then(|| function.clone())
    })
}

fn listed() -> BTreeSet<String> {
    let rows = LIST.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_write_transaction_is_in_the_list_and_nothing_else() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (there, listed) = (opened(&sources.join("service")), listed());
    assert!(there.len() > 30, "the sources are read: {there:?}");
    let missing: Vec<_> = there.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&there).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "not in docs/transactions.md: {missing:?}; not in the code: {gone:?}"
    );
    for layer in ["http", "server", "cli"] {
        let elsewhere = opened(&sources.join(layer));
        assert!(elsewhere.is_empty(), "a transaction outside of the service: {elsewhere:?}");
    }
}
