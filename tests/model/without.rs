//! Without it: one guard is taken out, and the search finds how a promise breaks.
//!
//! Owns one counterexample for each guard, and prints its steps (`--nocapture`). A guard that has none is not needed,
//! or these bounds hide what it is for; neither may pass unnoticed.

use super::checker::{Model, explore};
use super::guards::Guards;
use super::protocol::Protocol;
use super::sign_in::Order;
use super::state::Budget;

fn breaks(name: &str, promise: &str, model: &impl Model) {
    let report = explore(model);
    println!("without {name}: {report}");
    let counterexample = report.counterexample.unwrap_or_else(|| panic!("without {name}: no counterexample"));
    assert!(counterexample.promise.starts_with(promise), "without {name}: {}", counterexample.promise);
}

fn without(name: &str, guards: Guards, budget: Budget) {
    let promise = Protocol { guards, budget, slow_commits: true, settles: false, named: true };
    breaks(name, "P1", &promise);
}

/// One revocation, fills, a Redis that restarts or is replaced, a snapshot or a replica, connections that break.
const ONE_OF_EACH: Budget = Budget { fills: 2, ends: 1, restarts: 1, promotions: 1, copies: 1, ..Budget::NONE };

/// Two masters, one of which has missed the DEL.
const FAILOVER: Budget = Budget { fills: 1, ends: 1, promotions: 1, copies: 1, ..Budget::NONE };

#[test]
fn the_nonce() {
    without("the nonce", Guards { nonce: false, ..Guards::ALL }, ONE_OF_EACH);
}

#[test]
fn the_stamp() {
    without("the stamp", Guards { stamp: false, ..Guards::ALL }, ONE_OF_EACH);
}

#[test]
fn the_retirement() {
    without("the retirement", Guards { retirement: false, ..Guards::ALL }, FAILOVER);
}

#[test]
fn the_store_lease() {
    without("the store lease", Guards { store_lease: false, ..Guards::ALL }, FAILOVER);
}

#[test]
fn waiting_out_the_lease() {
    without("waiting out the lease", Guards { waits_out_the_lease: false, ..Guards::ALL }, FAILOVER);
}

#[test]
fn the_check_after_the_del() {
    without("the check after the DEL", Guards { check_after_del: false, ..Guards::ALL }, FAILOVER);
}

#[test]
fn join_only_before_it_is_sent() {
    without("\"join only before it is sent\"", Guards { join_only_before_sent: false, ..Guards::ALL }, ONE_OF_EACH);
}

#[test]
fn touching_only_what_was_read() {
    let budget = Budget { touches: 1, ..ONE_OF_EACH };
    without("touching only what was read", Guards { touch_over_what_was_read: false, ..Guards::ALL }, budget);
}

#[test]
fn asking_the_ledger_before_a_no() {
    let guards = Guards { only_the_ledger_says_no: false, ..Guards::ALL };
    let budget = Budget { fills: 1, ..Budget::NONE };
    let protocol = Protocol { guards, budget, slow_commits: true, settles: false, named: true };
    breaks("asking the ledger before a no", "P2", &protocol);
}

/// The bound of `StoreLease::solo`, for the operator's manual: a single Redis has to be dead before another takes its
/// place, or a node that SQL does not answer trusts the old one for as long as it lives.
#[test]
fn a_redis_alone_that_is_replaced_while_it_lives() {
    let budget = Budget { outages: 1, ..FAILOVER };
    without("the death of a Redis that stands alone", Guards::ALL, budget);
}

#[test]
fn what_is_pending_of_renewals() {
    let guards = Guards { what_is_pending: false, ..Guards::ALL };
    let budget = Budget { fills: 1, tokens: 2, ends: 1, sweeps: 1, ..Budget::NONE };
    without("what renewals left pending", guards, budget);
}

#[test]
fn what_is_pending_of_a_revocation_before() {
    let guards = Guards { what_is_pending: false, ..Guards::ALL };
    without("what a revoke-all left pending", guards, Budget { fills: 1, ends_all: 2, ..Budget::NONE });
}

#[test]
fn numbered_invalidations_for_the_command_line() {
    let guards = Guards { numbered_invalidations: false, ..Guards::ALL };
    without("numbered notes", guards, Budget { fills: 1, data: 1, ends_by_command: 1, ..Budget::NONE });
}

#[test]
fn numbered_invalidations_for_a_revocation_that_gives_up() {
    let guards = Guards { numbered_invalidations: false, ..Guards::ALL };
    let budget = Budget { fills: 1, data: 1, ends: 1, ..Budget::NONE };
    let protocol = Protocol { guards, budget, slow_commits: true, settles: true, named: true };
    breaks("numbered notes (nobody is told a 2xx)", "settled", &protocol);
}

#[test]
fn the_ledger_after_take() {
    without("the ledger after take", Guards { ledger_after_take: false, ..Guards::ALL }, ONE_OF_EACH);
}

#[test]
fn dating_a_retirement_after_its_commit() {
    without("dating after the commit", Guards { dated_after_commit: false, ..Guards::ALL }, FAILOVER);
}

#[test]
fn the_lock_on_the_user() {
    breaks("the lock on the user", "P1", &Order { user_lock: false, epoch: true });
}

#[test]
fn the_epoch() {
    breaks("the epoch", "P1", &Order { user_lock: true, epoch: false });
}
