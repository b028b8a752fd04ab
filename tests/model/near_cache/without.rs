//! Without it: one guard is taken out, and the search finds how the promise breaks.
//!
//! Owns one counterexample for each guard, and prints its steps (`--nocapture`). A guard that has none is not needed,
//! or these bounds hide what it is for; neither may pass unnoticed.

use std::collections::BTreeSet;

use super::guards::NearCacheGuards;
use super::protocol::{Bounds, NearCache};
use crate::checker::explore;

const ALL: NearCacheGuards = NearCacheGuards::ALL;
const ONE_NODE: Bounds = Bounds { named: true, ..Bounds::ONE_NODE };
const FAILOVER: Bounds = Bounds { failover: true, ..ONE_NODE };
const SECOND_REDIS: Bounds = Bounds { second_redis: true, ..ONE_NODE };
const BOTH: Bounds = Bounds { failover: true, ..SECOND_REDIS };

/// Each guard, with the bounds in which its loss shows.
const EACH: [(NearCacheGuards, Bounds); 21] = [
    (NearCacheGuards { round_order: false, ..ALL }, Bounds { given_up: 1, ..ONE_NODE }),
    (NearCacheGuards { stop_before_release: false, ..ALL }, ONE_NODE),
    (NearCacheGuards { lapse_where_applied: false, ..ALL }, ONE_NODE),
    (NearCacheGuards { pending_after_commit: false, ..ALL }, ONE_NODE),
    (NearCacheGuards { applied_round: false, ..ALL }, ONE_NODE),
    (NearCacheGuards { row_is_there: false, ..ALL }, Bounds { deletions: true, ..ONE_NODE }),
    (NearCacheGuards { too_many_pending: false, ..ALL }, ONE_NODE),
    (NearCacheGuards { own_stopwatch: false, ..ALL }, ONE_NODE),
    (NearCacheGuards { watched_server: false, ..ALL }, FAILOVER),
    (NearCacheGuards { watched_before_del: false, ..ALL }, FAILOVER),
    (NearCacheGuards { one_server: false, ..ALL }, FAILOVER),
    (NearCacheGuards { removed_where_read: false, ..ALL }, FAILOVER),
    (NearCacheGuards { ledger_lease: false, ..ALL }, FAILOVER),
    (NearCacheGuards { lease_of_that_server: false, ..ALL }, FAILOVER),
    (NearCacheGuards { store_lease_within: false, ..ALL }, BOTH),
    (NearCacheGuards { replaced_store_lease: false, ..ALL }, SECOND_REDIS),
    (NearCacheGuards { waits_for_holders: false, ..ALL }, ONE_NODE),
    (NearCacheGuards { own_copies_after_del: false, ..ALL }, ONE_NODE),
    (NearCacheGuards { mark_before_read: false, ..ALL }, ONE_NODE),
    (NearCacheGuards { trust_of_the_copy: false, ..ALL }, SECOND_REDIS),
    (NearCacheGuards { every_remover_waits: false, ..ALL }, ONE_NODE),
];

#[test]
fn each_guard_that_is_taken_out_lets_a_revoked_session_through() {
    let mut taken_out = BTreeSet::new();
    for (guards, bounds) in EACH {
        let [name] = &Vec::from_iter(guards.names(false))[..] else { panic!("one at a time: {guards:?}") };
        let report = explore(&NearCache { guards, bounds });
        println!("near cache, without {name}: {report}");
        let counterexample = report.counterexample.unwrap_or_else(|| panic!("without {name}: no counterexample"));
        assert!(counterexample.promise.starts_with("P1"), "without {name}: {}", counterexample.promise);
        taken_out.insert(name.clone());
    }
    assert_eq!(taken_out, ALL.names(true));
}
