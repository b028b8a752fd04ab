//! Recall: may a copy answer this request? And may this answer become a copy?
//!
//! Owns both rules. A hit says yes, or nothing: under a running lease, with the mark and the epoch that its fill began
//! with, while the Redis process is trusted that it was read from, before both deadlines, from the same address, and
//! before its use has to be written. Must never say no, nor keep a session in which somebody acts for its user: a copy has no
//! room for the party.

use std::net::IpAddr;

use super::NearCache;
use super::copies::{Copy, CopyKey};
use crate::domain::{Clock, Timestamp, TokenHash, session};
use crate::live::SeenRecord;
use crate::service::core::checked::{Activity, Checked};
use crate::service::fence::node_lease::Mark;

/// A fill that has begun: what it must be kept with.
#[derive(Clone, Copy)]
pub(in crate::service) struct Begun {
    key: CopyKey,
    mark: Mark,
}

impl NearCache {
    /// The key of a copy; none when the near cache is off. `credential` is a token that was verified, or a decoded cookie
    /// with its signature: then the copy answers before the signature is verified.
    pub fn key(&self, credential: &[u8]) -> Option<CopyKey> {
        self.copies.as_ref().map(|copies| copies.key(credential))
    }

    /// The answer of a copy to a request from this address; none when the question has to go on. The cookie's signature
    /// was verified when the copy was made.
    pub fn recall(&self, key: CopyKey, from: Option<IpAddr>) -> Option<Checked> {
        let copies = self.copies.as_ref()?;
        let found = copies.get(&key).and_then(|copy| self.answer(&copy, from));
        self.counts.count(found.is_some());
        found
    }

    fn answer(&self, copy: &Copy, from: Option<IpAddr>) -> Option<Checked> {
        let now = self.core.clock.monotonic();
        let time = self.core.clock.at(now);
        let checked = copy.checked();
        // On the stopwatch, in case the database's clock is set back, and on that clock.
        let is_fresh = now < copy.due() && time < self.due_at(&checked);
        let counts = is_fresh
            && from.is_none_or(|from| checked.ip == from)
            && copy.trust.holds(now)
            && checked.deadlines.hold(time)
            && self.fence.node_lease.admits(&checked.token_hash, copy.mark, now);
        counts.then_some(checked)
    }

    /// When the last-seen time has to be written again.
    fn due_at(&self, checked: &Checked) -> Timestamp {
        let configured = self.core.policy.last_seen_resolution;
        checked.deadlines.last_seen.plus(session::resolution(configured, checked.deadlines.idle))
    }

    /// Notes that a record is about to be read: what is dropped from now on is not kept.
    pub(in crate::service) fn begin(&self, key: Option<CopyKey>, hash: &TokenHash) -> Option<Begun> {
        let key = key.filter(|_| self.copies.is_some())?;
        let mark = self.fence.node_lease.begin(hash, self.core.clock.monotonic())?;
        Some(Begun { key, mark })
    }

    /// Keeps what a record said to a request at `now` from this address. If the request counts as a use, the copy says
    /// so: the use is on its way to the record and to the ledger.
    pub(in crate::service) fn keep(
        &self,
        begun: Begun,
        seen: &SeenRecord,
        checked: &Checked,
        (from, activity, now): (Option<IpAddr>, Activity, Timestamp),
    ) {
        let Some(copies) = self.copies.as_ref().filter(|_| checked.acting.is_none()) else { return };
        let configured = self.core.policy.last_seen_resolution;
        let mut checked = checked.clone();
        if let Some(used_at) = checked.use_to_write(activity, now, from, configured) {
            (checked.deadlines.last_seen, checked.ip) = (used_at, from.unwrap_or(checked.ip));
        }
        let due = self.core.clock.monotonic().saturating_add(self.due_at(&checked).since(now));
        copies.put(begun.key, Copy::new(checked, begun.mark, seen.trust(), due));
    }
}
