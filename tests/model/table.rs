//! The table in `docs/guards.md`: each guard of the model, and each promise, with the test of the real program that fails
//! without it.
//!
//! Owns the comparison with the model and with the tests. Must never know a guard by itself: the model's own source says
//! which there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::guards::Guards;
use super::near_cache::guards::NearCacheGuards;

/// What orders a sign-in and the end of all sessions has a model of its own.
const ORDER: &str = include_str!("sign_in.rs");
const TABLE: &str = include_str!("../../docs/guards.md");
/// The promises of the README, by number.
const PROMISES: [&str; 7] = ["P1", "P2", "P3", "P4", "P5", "P6", "P7"];

/// Guards of the near cache that the model alone shows: no test of the real program could hold their window open.
const MODEL_ALONE: [&str; 6] = [
    "pending_after_commit",
    "watched_before_del",
    "one_server",
    "removed_where_read",
    "store_lease_within",
    "trust_of_the_copy",
];

/// The cells of each row of the tables.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = TABLE.lines().filter(|line| line.starts_with("| `") || line.starts_with("| P"));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// The names of the guards, as the model spells them.
fn guards() -> BTreeSet<String> {
    let all = format!("{:?}", Guards::ALL);
    let fields = all.split(['{', ',', '}']).filter_map(|part| part.split_once(": ")).map(|(name, _)| name.trim());
    let order = ORDER.split_once("pub struct Order {").and_then(|(_, rest)| rest.split_once('}')).expect("the order").0;
    let order = order.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.strip_suffix(": bool,"));
    fields.chain(order).map(str::to_owned).collect()
}

/// The same of the second model.
fn near_cache_guards() -> BTreeSet<String> {
    NearCacheGuards::ALL.names(true)
}

#[test]
fn every_guard_and_every_promise_is_in_the_table_once() {
    let named: Vec<String> = rows().iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let once: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(once.len(), named.len(), "a row stands twice: {named:?}");
    let model_alone = BTreeSet::from(MODEL_ALONE.map(str::to_owned));
    let near_cache = &near_cache_guards() - &model_alone;
    let expected: BTreeSet<String> =
        guards().into_iter().chain(near_cache).chain(PROMISES.map(str::to_owned)).collect();
    assert_eq!(once, expected);
    assert!(model_alone.is_subset(&near_cache_guards()), "no such guard: {:?}", &model_alone - &near_cache_guards());
    assert!(guards().is_disjoint(&near_cache_guards()), "two guards with one name");
    assert!(guards().len() > 10, "the model was not read: {:?}", guards());
}

#[test]
fn every_test_that_the_table_names_exists() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for row in rows() {
        assert_eq!(row.len(), 3, "name, what is lost without it, tests: {row:?}");
        assert!(row[1].len() > 20, "what is lost without it? {row:?}");
        // `tests/races/windows/joining.rs: a_record_that…`
        let tests: Vec<&str> = row[2].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row:?}");
        for test in tests {
            let (path, name) = test.split_once(": ").unwrap_or_else(|| panic!("a file and a test: {test}"));
            assert!(!path.starts_with("tests/model"), "the model is no test of the real program: {test}");
            let source = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(source.contains(&format!("fn {name}(")), "{path} has no test {name}");
        }
    }
}
