//! Without it.
use super::guards::NearCacheGuards;
use super::protocol::{Bounds, NearCache};
use crate::checker::explore;

const ALL: NearCacheGuards = NearCacheGuards::ALL;
const ONE: Bounds = Bounds {
    nodes: 1,
    fills: 1,
    given_up: 0,
    restarts: false,
    deletions: false,
    failover: false,
    second_redis: false,
    named: true,
};

macro_rules! w { ($($name:ident: $bounds:expr;)*) => { $(#[test] fn $name() {
    let report = explore(&NearCache { guards: NearCacheGuards { $name: false, ..ALL }, bounds: $bounds });
    println!("WITHOUT {}: {report}", stringify!($name));
    assert!(report.counterexample.is_some());
})* } }

w! {
 round_order: Bounds { given_up: 2, ..ONE };
 stop_before_release: ONE;
 lapse_where_applied: ONE;
 pending_after_commit: ONE;
 applied_round: Bounds { given_up: 1, ..ONE };
 row_is_there: Bounds { deletions: true, ..ONE };
 too_many_pending: ONE;
 own_stopwatch: ONE;
 watched_server: Bounds { failover: true, ..ONE };
 watched_before_del: Bounds { failover: true, ..ONE };
 one_server: Bounds { failover: true, ..ONE };
 removed_where_read: Bounds { failover: true, ..ONE };
 ledger_lease: Bounds { failover: true, ..ONE };
 lease_of_that_server: Bounds { failover: true, ..ONE };
 store_lease_within: Bounds { failover: true, second_redis: true, ..ONE };
 replaced_store_lease: Bounds { second_redis: true, ..ONE };
 holders: ONE;
 own_copies_after_del: ONE;
 mark_before_read: ONE;
 trust_of_the_copy: Bounds { failover: true, second_redis: true, restarts: true, deletions: true, fills: 2, given_up: 1, ..ONE };
 epoch_of_the_server: Bounds { failover: true, second_redis: true, restarts: true, deletions: true, fills: 2, given_up: 1, ..ONE };
 every_remover_waits: ONE;
}

#[test] fn epoch2() {
    let report = explore(&NearCache { guards: NearCacheGuards { epoch_of_the_server: false, ..ALL }, bounds: Bounds { named: false, nodes: 2, failover: true, ..ONE } });
    println!("WITHOUT epoch 2: {report}");
}
