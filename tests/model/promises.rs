//! The promises hold: every state within these bounds, with all guards.
//!
//! Owns the bounds. Must never be made smaller to hide a finding.

use super::checker::{Model, explore};
use super::guards::Guards;
use super::protocol::Protocol;
use super::sign_in::Order;
use super::state::Budget;

const SOAK: &str = "SESSIOND_TEST_SOAK";

/// A few more of what matters most, where there is time.
pub fn soak(more: u8) -> u8 {
    if std::env::var_os(SOAK).is_some() { more } else { 0 }
}

fn with_all_guards(budget: Budget) -> Protocol {
    Protocol { guards: Guards::ALL, budget, slow_commits: true, settles: true, named: false }
}

fn hold(name: &str, budget: Budget) {
    holds(name, &with_all_guards(budget));
}

fn holds(name: &str, model: &impl Model) {
    let report = explore(model);
    println!("{name}: {report}");
    assert!(report.counterexample.is_none(), "{name}: {report}");
}

/// Three fills on two nodes; leases and records that expire between any two steps; a sweeper beside the revocation.
#[test]
fn one_redis_that_forgets() {
    let budget = Budget { fills: 3, ends: 1 + soak(1), sweeps: 1, evictions: 1 + soak(1), ..Budget::NONE };
    hold("one Redis that forgets", budget);
}

#[test]
fn a_redis_that_restarts_from_a_snapshot() {
    let fills = Budget { fills: 2, ends: 1, restarts: 1, copies: 1, sweeps: soak(1), ..Budget::NONE };
    hold("a restart, two fills", fills);
    let sweeper = Budget { fills: 1, ends: 1, restarts: 1, copies: 1, sweeps: 1, crashes: soak(1), ..Budget::NONE };
    hold("a restart, a fill and a sweeper", sweeper);
}

#[test]
fn two_masters_and_two_fills() {
    let budget = Budget { fills: 2, ends: 1, promotions: 1, copies: 1, sweeps: soak(1), ..Budget::NONE };
    hold("two masters, two fills", budget);
}

#[test]
fn two_masters_and_a_sweeper() {
    let budget = Budget { fills: 1, ends: 1, promotions: 1, copies: 1, sweeps: 1, evictions: soak(1), ..Budget::NONE };
    hold("two masters, a fill and a sweeper", budget);
}

#[test]
fn two_masters_and_a_revocation_that_is_repeated() {
    let budget = Budget { fills: 1, ends: 1, ends_all: 1 + soak(1), promotions: 1, copies: 1, ..Budget::NONE };
    hold("two masters, a fill and two revocations", budget);
}

#[test]
fn a_failover_and_a_restart() {
    let budget = Budget { fills: 1, ends: 1, promotions: 1, restarts: 1, copies: 1, sweeps: soak(1), ..Budget::NONE };
    // Here an enrolment is one step, to keep it small: what a slow commit can do shows with two processes already.
    let protocol = Protocol { slow_commits: std::env::var_os(SOAK).is_some(), ..with_all_guards(budget) };
    holds("a failover and a restart", &protocol);
}

#[test]
fn nodes_that_crash_and_connections_that_break() {
    let crash = Budget { fills: 1, ends: 1, promotions: 1, copies: 1, crashes: 1, sweeps: soak(1), ..Budget::NONE };
    hold("two masters, a crash", crash);
    let link =
        Budget { fills: 1, ends: 1, promotions: 1, copies: 1, disconnections: 1, sweeps: soak(1), ..Budget::NONE };
    hold("two masters, a broken connection", link);
}

#[test]
fn renewals() {
    let one = Budget { fills: 2, tokens: 1, ends: 1, sweeps: 1, restarts: soak(1), copies: soak(1), ..Budget::NONE };
    hold("one renewal, two fills", one);
    let two = Budget { fills: 1, tokens: 2, ends: 1, sweeps: 1, ends_all: soak(1), ..Budget::NONE };
    hold("two renewals, a fill", two);
}

#[test]
fn data_and_the_command_line() {
    let budget = Budget { fills: 2, data: 1, ends_by_command: 1, sweeps: 1, ends: soak(1), ..Budget::NONE };
    hold("data and the command line", budget);
}

#[test]
fn touches() {
    let budget = Budget { fills: 2, touches: 1 + soak(1), ends: 1, restarts: 1, copies: 1, ..Budget::NONE };
    hold("touches", budget);
}

/// SQL is away from a node: a Redis without a replica is still trusted there. It may die and be replaced.
#[test]
fn a_redis_alone_without_the_ledger() {
    let budget = Budget { fills: 1, ends: 1, restarts: 1, copies: 1, outages: 1 + soak(1), ..Budget::NONE };
    hold("a Redis alone, SQL away", budget);
}

#[test]
fn sign_in_against_what_ends_all_sessions() {
    holds("sign-in", &Order { user_lock: true, epoch: true });
}
