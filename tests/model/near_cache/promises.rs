//! The promise holds: every state within these bounds, with all guards.
//!
//! Owns the bounds. Must never be made smaller to hide a finding.

use super::guards::NearCacheGuards;
use super::protocol::{Bounds, NearCache};
use crate::checker::explore;

/// Renewals, copies, fills, one revocation on one of the nodes or on none of them; messages and answers that are lost.
const NOTHING_ELSE: Bounds = Bounds {
    nodes: 1,
    fills: 1,
    given_up: 0,
    restarts: false,
    deletions: false,
    failover: false,
    second_redis: false,
    named: false,
};

fn holds(name: &str, bounds: Bounds) {
    let report = explore(&NearCache { guards: NearCacheGuards::ALL, bounds });
    println!("near cache, {name}: {report}");
    assert!(report.counterexample.is_none(), "near cache, {name}: {report}");
}

#[test]
fn one_node() {
    holds("one node", NOTHING_ELSE);
}

#[test]
fn two_nodes() {
    holds("two nodes", Bounds { nodes: 2, ..NOTHING_ELSE });
}

#[test]
fn two_nodes_two_fills() {
    holds("two nodes two fills", Bounds { nodes: 2, fills: 2, ..NOTHING_ELSE });
}

#[test]
fn two_fills() {
    holds("two fills", Bounds { fills: 2, ..NOTHING_ELSE });
}

#[test]
fn renewals_that_were_given_up() {
    holds("given up", Bounds { given_up: 2, ..NOTHING_ELSE });
}

#[test]
fn two_given_up() {
    holds("two given up", Bounds { nodes: 2, given_up: 1, ..NOTHING_ELSE });
}

#[test]
fn restarts() {
    holds("restarts", Bounds { nodes: 2, restarts: true, deletions: true, ..NOTHING_ELSE });
}

#[test]
fn failover1() {
    holds("failover 1", Bounds { failover: true, fills: 2, ..NOTHING_ELSE });
}

#[test]
fn failover2() {
    holds("failover 2", Bounds { failover: true, nodes: 2, ..NOTHING_ELSE });
}

#[test]
fn redis1() {
    holds("redis 1", Bounds { second_redis: true, fills: 2, ..NOTHING_ELSE });
}

#[test]
fn redis2() {
    holds("redis 2", Bounds { second_redis: true, nodes: 2, ..NOTHING_ELSE });
}

#[test]
fn all1() {
    holds(
        "all 1",
        Bounds {
            second_redis: true,
            failover: true,
            restarts: true,
            deletions: true,
            given_up: 1,
            fills: 2,
            ..NOTHING_ELSE
        },
    );
}
