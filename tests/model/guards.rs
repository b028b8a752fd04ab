//! The guards of the protocol, each of which can be taken out.
//!
//! Owns the list. Must never hold a guard that no test takes out: what nothing depends on is not needed.

/// What keeps the promises. The lock on the user and the epoch have a model of their own, `sign_in`.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// A record replaces only the lease of its own fill (`Live::put`).
    pub nonce: bool,
    /// A record is trusted only by the process that it was written to (`Live::trusted`).
    pub stamp: bool,
    /// A new process retires its predecessor, for ever (`live_store::enroll`).
    pub retirement: bool,
    /// A stamp is trusted for one lease after the read that showed it current (`StoreLease::holds`).
    pub store_lease: bool,
    /// After the DEL: does the process that was deleted from still speak (`live_store::status`)?
    pub check_after_del: bool,
    /// Only the ledger says no: what Redis does not have is asked there (`Check::fill`).
    pub only_the_ledger_says_no: bool,
    /// A question to the ledger is joined only before it is sent (`SingleFlight::join`).
    pub join_only_before_sent: bool,
    /// Where a process was retired a moment ago, a revocation waits until nobody can trust it
    /// (`LeaseGrace::remaining`).
    pub waits_out_the_lease: bool,
    /// A touch changes only the very record that was read (`Live::touch`).
    pub touch_over_what_was_read: bool,
    /// A revocation deletes whatever of its sessions is still pending, from earlier renewals and revocations
    /// (`pending_invalidations::of_user`).
    pub what_is_pending: bool,
    /// An invalidation that was added meanwhile is not removed (`pending_invalidations::remove`).
    pub numbered_invalidations: bool,
    /// A record that `take` finds answers nobody: whoever joined meanwhile may have started after a revocation that
    /// deleted it (`Live::take`).
    pub ledger_after_take: bool,
    /// The time of a retirement is written after it can be seen (`service::sightings` counts from when it was seen).
    pub dated_after_commit: bool,
}

impl Guards {
    /// All of them.
    pub const ALL: Self = Self {
        nonce: true,
        stamp: true,
        retirement: true,
        store_lease: true,
        check_after_del: true,
        only_the_ledger_says_no: true,
        join_only_before_sent: true,
        waits_out_the_lease: true,
        touch_over_what_was_read: true,
        what_is_pending: true,
        numbered_invalidations: true,
        ledger_after_take: true,
        dated_after_commit: true,
    };
}
