//! The guards of the near cache, each of which can be taken out.
//!
//! Owns the list. Must never hold a guard that no test takes out: what nothing depends on is not needed.

use std::collections::BTreeSet;

/// What keeps the promise while nodes answer from copies and from the ledger under a lease.
#[derive(Clone, Copy, Debug)]
pub struct NearCacheGuards {
    /// A renewal that was given up and arrives after a later one changes nothing (`node_leases::renew`).
    pub round_order: bool,
    /// A node stops to use copies before its row says so (`NodeLease::attempt`).
    pub stop_before_release: bool,
    /// A lapse is judged where the answer is applied, not by the row (`NodeLease::apply`).
    pub lapse_where_applied: bool,
    /// What is pending is read after the renewal is committed (`lease_renewal::renew`).
    pub pending_after_commit: bool,
    /// A renewal counts as an answer to a revocation once the row says that its reading was applied
    /// (`LeaseWatch::is_settled`).
    pub applied_round: bool,
    /// A renewal counts only if its row was there (`NodeLease::begin_anew`).
    pub row_is_there: bool,
    /// With too many pending to read, every copy is void (`NodeLease::apply`).
    pub too_many_pending: bool,
    /// A lease is over when its row stood still on the watcher's own stopwatch (`LeaseWatch::note`).
    pub own_stopwatch: bool,
    /// No revocation is confirmed on a database server that was not watched for a lease (`Fence::watched_server`).
    pub watched_server: bool,
    /// That is known before the records are deleted (`Sessions::invalidate_once`).
    pub watched_before_del: bool,
    /// The holders are read on the server that was watched (`Fence::is_watched`).
    pub one_server: bool,
    /// What is pending is removed on the server where the holders were read (`Sessions::invalidate_once`).
    pub removed_where_read: bool,
    /// An answer of the ledger counts only under the node's lease (`Refusals::check_lease`).
    pub ledger_lease: bool,
    /// Under a lease of the very server that answered (`Connections::lend`).
    pub lease_of_that_server: bool,
    /// A reading of `live_store` extends a store lease only under the node's lease, and a revocation waits for what it
    /// extended last (`StoreFence::renew`, `Sessions::sight`).
    pub store_lease_within: bool,
    /// The lease of a Redis that was replaced is waited out (`Sessions::standing`).
    pub replaced_store_lease: bool,
    /// A revocation waits for the nodes that may answer from copies (`Sessions::drop_copies`).
    pub waits_for_holders: bool,
    /// A revocation drops the copies of its own node after the DEL, not before (`Sessions::drop_copies`).
    pub own_copies_after_del: bool,
    /// A copy carries the mark and the epoch from before its fill read the record (`NodeLease::begin`).
    pub mark_before_read: bool,
    /// A copy counts only while the Redis process is trusted that it was read from (`NearCache::answer`).
    pub trust_of_the_copy: bool,
    /// Whoever removes a pending invalidation has waited for the holders.
    pub every_remover_waits: bool,
}

impl NearCacheGuards {
    /// All of them.
    pub const ALL: Self = Self {
        round_order: true,
        stop_before_release: true,
        lapse_where_applied: true,
        pending_after_commit: true,
        applied_round: true,
        row_is_there: true,
        too_many_pending: true,
        own_stopwatch: true,
        watched_server: true,
        watched_before_del: true,
        one_server: true,
        removed_where_read: true,
        ledger_lease: true,
        lease_of_that_server: true,
        store_lease_within: true,
        replaced_store_lease: true,
        waits_for_holders: true,
        own_copies_after_del: true,
        mark_before_read: true,
        trust_of_the_copy: true,
        every_remover_waits: true,
    };

    /// The names of those that are in, or of those that were taken out.
    pub fn names(self, are_in: bool) -> BTreeSet<String> {
        let all = format!("{self:?}");
        let fields = all.split(['{', ',', '}']).filter_map(|part| part.trim().split_once(": "));
        fields.filter(|(_, is_in)| *is_in == are_in.to_string()).map(|(name, _)| name.to_owned()).collect()
    }
}
