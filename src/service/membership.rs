//! Membership: what a node is set to, and in what it differs from another one.
//!
//! Owns the comparison. Must never name the value of a secret: of a key, it has the fingerprint.

use std::collections::HashMap;

use crate::ledger::nodes::Node;

/// A setting that nodes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Its variable.
    pub variable: &'static str,
    /// Its value; of a secret, its fingerprint.
    pub value: String,
    /// Whether a node that differs cannot serve beside the others. Otherwise it is told, for the time of a rolling change.
    pub must: bool,
}

/// This node among the others.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) name: String,
    settings: Vec<Shared>,
}

impl Membership {
    pub(super) fn new(name: String, settings: Vec<Shared>) -> Self {
        Self { name, settings }
    }

    pub(super) fn text(&self) -> String {
        let lines = self.settings.iter().map(|Shared { variable, value, .. }| format!("{variable}={value}\n"));
        lines.collect()
    }

    /// The settings in which the other node differs. What it does not have, it does not care for.
    pub(super) fn differing<'a>(&'a self, other: &'a Node) -> impl Iterator<Item = &'a Shared> {
        let theirs: HashMap<&str, &str> = other.settings.lines().filter_map(|line| line.split_once('=')).collect();
        let differs = move |own: &&Shared| theirs.get(own.variable).is_some_and(|value| *value != own.value);
        self.settings.iter().filter(differs)
    }

    pub(super) fn clash<'a>(&'a self, other: &'a Node) -> Option<&'a Shared> {
        self.differing(other).find(|shared| shared.must)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership(settings: &[(&'static str, &str)]) -> Membership {
        let shared = |(variable, value): &(&'static str, &str)| Shared {
            variable,
            value: (*value).to_owned(),
            must: *variable != "ORIGIN",
        };
        Membership::new("n".to_owned(), settings.iter().map(shared).collect())
    }

    #[test]
    fn what_one_of_two_does_not_have_does_not_differ() {
        let own = membership(&[("KEY", "a=b"), ("PREFIX", ""), ("ORIGIN", "x")]);
        for (theirs, clash, differs) in [
            (&[("KEY", "a=b"), ("PREFIX", ""), ("ORIGIN", "x")][..], None, None),
            (&[("KEY", "a=b")], None, None),
            (&[("KEY", "a=c")], Some("KEY"), Some("KEY")),
            (&[("PREFIX", "p"), ("OTHER", "1")], Some("PREFIX"), Some("PREFIX")),
            (&[("ORIGIN", "y")], None, Some("ORIGIN")),
        ] {
            let other = Node { name: "o".to_owned(), settings: membership(theirs).text(), beat_at: 0 };
            assert_eq!(own.clash(&other).map(|shared| shared.variable), clash, "{theirs:?}");
            assert_eq!(own.differing(&other).next().map(|shared| shared.variable), differs, "{theirs:?}");
        }
    }
}
