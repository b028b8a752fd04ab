//! Membership: this node's settings, and how they differ from another node's.
//!
//! Owns the comparison. Must never name the value of a secret: it holds only a key's fingerprint.

use std::collections::HashMap;
use std::time::Duration;

use crate::ledger::nodes::Node;

/// A row that has not changed for this long belongs to a node that is gone.
pub(in crate::service) const GONE: Duration = Duration::from_secs(8);
/// How long a node may trust a Redis process without asking SQL about it again.
const LEASE: &str = "SESSIOND_STORE_LEASE";

/// A setting that nodes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The environment variable.
    pub variable: &'static str,
    /// The value; for a secret, its fingerprint.
    pub value: String,
    /// Whether a different value stops a node from serving. Otherwise the difference is only logged, as in a rolling
    /// change.
    pub must: bool,
}

/// This node as a member of the cluster.
#[derive(Clone, Debug)]
pub struct Membership {
    pub(in crate::service) name: String,
    settings: Vec<Shared>,
}

impl Membership {
    /// A member with this name, which no other node has, and these settings.
    pub fn new(name: String, settings: Vec<Shared>) -> Self {
        Self { name, settings }
    }

    pub(in crate::service) fn text(&self) -> String {
        let lines = self.settings.iter().map(|Shared { variable, value, .. }| format!("{variable}={value}\n"));
        lines.collect()
    }

    /// The settings in which the other node differs. A setting that the other node does not have is ignored.
    pub(in crate::service) fn differing<'a>(&'a self, other: &'a Node) -> impl Iterator<Item = &'a Shared> {
        let theirs: HashMap<&str, &str> = other.settings.lines().filter_map(|line| line.split_once('=')).collect();
        let differs = move |own: &&Shared| theirs.get(own.variable).is_some_and(|value| *value != own.value);
        self.settings.iter().filter(differs)
    }

    pub(in crate::service) fn clash<'a>(&'a self, other: &'a Node) -> Option<&'a Shared> {
        self.differing(other).find(|shared| shared.must)
    }

    /// The nodes beside which this one may not serve.
    pub(in crate::service) fn rivals(&self, others: Vec<Node>) -> Vec<Node> {
        others.into_iter().filter(|node| self.clash(node).is_some()).collect()
    }

    /// How long another node's row must stand still before that node counts as gone. If the node wakes later, it no
    /// longer trusts any Redis process by an earlier read.
    pub(in crate::service) fn patience(other: &Node) -> Duration {
        let lease = other.settings.lines().find_map(|line| line.strip_prefix(LEASE)?.strip_prefix('='));
        let seconds = lease.and_then(|lease| lease.strip_suffix('s')?.parse().ok());
        seconds.map_or(GONE, |seconds| GONE.max(Duration::from_secs(seconds)))
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

    #[test]
    fn a_node_that_may_trust_for_longer_is_waited_for_longer() {
        for (settings, seconds) in [
            ("", 8),
            ("SESSIOND_STORE_LEASE=3s\n", 8),
            ("KEY=a\nSESSIOND_STORE_LEASE=30s\nX=y\n", 30),
            ("SESSIOND_STORE_LEASE_2=30s\n", 8),
        ] {
            let other = Node { name: "o".to_owned(), settings: settings.to_owned(), beat_at: 0 };
            assert_eq!(Membership::patience(&other), Duration::from_secs(seconds), "{settings}");
        }
    }
}
