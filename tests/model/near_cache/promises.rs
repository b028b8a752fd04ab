//! The promise holds: every state within these bounds, with all guards.
//!
//! Owns the bounds. Must never be made smaller to hide a finding. Everywhere messages and answers may be lost, leases
//! may end, and a node may stop to use copies and start again.

use super::guards::NearCacheGuards;
use super::protocol::{Bounds, NearCache};
use crate::checker::explore;
use crate::promises::soak;

fn holds(name: &str, bounds: Bounds) {
    let report = explore(&NearCache { guards: NearCacheGuards::ALL, bounds });
    println!("near cache, {name}: {report}");
    assert!(report.counterexample.is_none(), "near cache, {name}: {report}");
}

/// The larger bounds take minutes.
fn is_soak() -> bool {
    soak(1) > 0
}

const SLOW: Bounds = Bounds { slow_commits: true, ..Bounds::ONE_NODE };
const TWO_NODES: Bounds = Bounds { nodes: 2, ..SLOW };
/// What else there is, on one node.
const EVERYTHING_ELSE: Bounds = Bounds { fills: 2, given_up: 1, restarts: true, deletions: true, ..SLOW };

#[test]
fn two_nodes() {
    holds("two nodes", Bounds { restarts: is_soak(), deletions: is_soak(), ..TWO_NODES });
}

#[test]
fn two_fills() {
    holds("one node, two fills", Bounds { fills: 2, ..SLOW });
    holds("two nodes, two fills", Bounds { fills: 2, given_up: soak(1).into(), ..TWO_NODES });
}

#[test]
fn renewals_that_were_given_up() {
    holds("one node, two renewals that were given up", Bounds { fills: 2, given_up: 2, ..SLOW });
    holds("two nodes, a renewal that was given up", Bounds { given_up: 1 + usize::from(soak(1)), ..TWO_NODES });
}

#[test]
fn restarts() {
    holds("restarts", Bounds { restarts: true, deletions: true, fills: 1 + usize::from(soak(1)), ..TWO_NODES });
}

/// A node that is left with the old primary, alone or beside one that is not. Of the two, a renewal is asked for and
/// committed in one step, to keep it small.
#[test]
fn a_failover() {
    holds("a failover, one node", Bounds { failover: true, ..EVERYTHING_ELSE });
    let (failover, slow_commits, restarts) = (true, is_soak(), is_soak());
    holds("a failover, two nodes", Bounds { failover, slow_commits, restarts, ..TWO_NODES });
}

#[test]
fn a_second_redis() {
    holds("a second Redis, one node", Bounds { second_redis: true, ..EVERYTHING_ELSE });
    let (second_redis, slow_commits, restarts) = (true, is_soak(), is_soak());
    holds("a second Redis, two nodes", Bounds { second_redis, slow_commits, restarts, ..TWO_NODES });
}

/// Two nodes have more states here than fit into the memory of a small machine.
#[test]
fn a_failover_and_a_second_redis() {
    let given_up = 1 + usize::from(soak(1));
    let both = Bounds { failover: true, second_redis: true, given_up, ..EVERYTHING_ELSE };
    holds("a failover and a second Redis, one node", both);
}
