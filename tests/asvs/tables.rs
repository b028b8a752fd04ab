//! The tables in `docs/asvs`: every row that this product is held to is in them once, with a verdict, and every test
//! that they name exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What the tables must have: the name of a file and the ids of its rows.
const HELD_TO: [(&str, &[&str]); 4] = [
    (
        "v3.md",
        &[
            "3.1.1", "3.2.1", "3.2.2", "3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.3.5", "3.4.1", "3.4.2", "3.4.3", "3.4.4",
            "3.4.5", "3.4.6", "3.4.7", "3.4.8", "3.5.1", "3.5.2", "3.5.3", "3.5.4", "3.5.8", "3.7.2",
        ],
    ),
    (
        "v16.md",
        &[
            "16.1.1", "16.2.1", "16.2.2", "16.2.3", "16.2.4", "16.2.5", "16.3.1", "16.3.2", "16.3.3", "16.3.4",
            "16.4.1", "16.4.2", "16.4.3", "16.5.1", "16.5.2", "16.5.3", "16.5.4",
        ],
    ),
    (
        "others.md",
        &[
            "2.4.1", "4.1.1", "4.1.3", "4.1.4", "4.2.1", "8.2.1", "8.2.2", "8.2.3", "8.3.2", "11.2.4", "11.4.2",
            "11.5.1", "13.1.2", "13.2.3", "13.2.6", "13.4.4", "13.4.5", "13.4.6", "14.2.1", "14.2.2", "14.3.1",
            "14.3.2", "15.1.3", "15.2.2", "15.3.1", "15.3.3", "15.3.4", "15.3.5", "15.3.7", "15.4.2",
        ],
    ),
    ("limits.md", &[]),
];

/// Rows of a file that are numbered without a gap, but for those that do not exist.
const NUMBERED: [(&str, &str, std::ops::RangeInclusive<u32>, &[u32]); 6] = [
    ("others.md", "C", 1..=41, &[18, 19, 27, 28, 29, 37, 38, 39]),
    ("others.md", "H", 1..=23, &[18, 19]),
    ("others.md", "V", 1..=42, &[]),
    ("others.md", "F", 30..=40, &[]),
    ("limits.md", "L", 1..=28, &[16, 17, 18, 19]),
    ("limits.md", "I", 1..=13, &[]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/asvs")
}

/// The cells of the rows of a table, header and rule left out.
fn rows(file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (_, table) = text.split_once("| id ").unwrap_or_else(|| panic!("{file} has no table"));
    let lines = table.lines().skip(1).filter(|line| line.starts_with("| ") && !line.starts_with("| id "));
    lines.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn expected(file: &str) -> BTreeSet<String> {
    let plain =
        HELD_TO.iter().filter(|(name, _)| *name == file).flat_map(|(_, ids)| ids.iter().map(ToString::to_string));
    let numbered = NUMBERED.iter().filter(|(name, ..)| *name == file).flat_map(|(_, letter, numbers, gaps)| {
        numbers.clone().filter(|number| !gaps.contains(number)).map(move |number| format!("{letter}-{number:02}"))
    });
    plain.chain(numbered).collect()
}

#[test]
fn every_row_is_there_once_with_a_verdict() {
    for (file, _) in HELD_TO {
        let rows = rows(file);
        let ids: Vec<&String> = rows.iter().filter_map(|row| row.first()).collect();
        let unique: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(unique.len(), ids.len(), "{file}: an id stands twice");
        assert_eq!(unique, expected(file), "{file}");
        for row in &rows {
            assert_eq!(row.len(), 4, "{file}: id, level, verdict, test: {row:?}");
            let verdict = &row[2];
            let known = ["met", "partly met", "not met", "not applicable", "elsewhere"];
            assert!(
                known.iter().any(|word| verdict == word || verdict.starts_with(&format!("{word}: "))),
                "{file}: {row:?}"
            );
            assert!(verdict == "met" || verdict.len() > 15, "{file}: why? {row:?}");
        }
    }
}

/// Whether a source has this word, not merely one that begins or ends with it; or this text, when it is no word.
fn has(source: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    if !name.chars().all(is_part) {
        return source.contains(name);
    }
    name.is_empty() || source.split(|c| !is_part(c)).any(|word| word == name)
}

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for (file, _) in HELD_TO {
        for row in rows(file) {
            // `tests/api/headers.rs: every_answer…`
            for mention in row[3].split('`').skip(1).step_by(2) {
                let (path, name) = mention.split_once(": ").unwrap_or((mention, ""));
                let source =
                    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{file}: {mention}: {error}"));
                assert!(has(&source, name), "{file}: {path} has no {name}");
                named += 1;
            }
        }
    }
    assert!(named > 60, "only {named} mentions were found");
}
