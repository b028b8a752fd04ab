//! Last-seen buffer: a write-behind buffer of the sessions that this node has seen since the last write to the ledger.
//!
//! Owns a use until it is in its row, with a size limit. Must never hold the only copy for longer than the ledger may
//! lag.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::domain::{SessionId, Timestamp};

/// Most sessions with an unwritten use on one node; beyond it uses may be lost, and the log says so.
const MAX_WAITING: usize = 500_000;
/// A use that is not yet in the ledger.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct UnwrittenUse {
    pub(in crate::service) seen_at: Timestamp,
    pub(in crate::service) ip: IpAddr,
    /// When the ledger must have it, on the stopwatch.
    pub(in crate::service) due: Duration,
}

/// Uses that may not be in the ledger yet.
#[derive(Default)]
struct Untold {
    waiting: HashMap<SessionId, UnwrittenUse>,
    /// Taken for writing, and not yet known to be written.
    telling: HashMap<SessionId, UnwrittenUse>,
    /// Whether the log says that uses are lost.
    is_full: bool,
}

/// The unwritten uses of one node.
pub(in crate::service) struct LastSeenBuffer {
    uses: Mutex<Untold>,
    urgent: Notify,
    /// Whether the ledger was down when a use was due.
    overdue: watch::Sender<bool>,
    /// Whether records in Redis learn of a use at once, so that the ledger may lag.
    pub(in crate::service) has_records: bool,
}

impl LastSeenBuffer {
    pub(in crate::service) fn new(has_records: bool) -> Self {
        Self { uses: Mutex::default(), urgent: Notify::new(), overdue: watch::Sender::new(false), has_records }
    }

    /// The latest use that this node knows and the ledger may not.
    pub(in crate::service) fn noted(&self, session: SessionId) -> Option<Timestamp> {
        let uses = self.uses.lock();
        [&uses.waiting, &uses.telling].into_iter().filter_map(|of| of.get(&session)).map(|note| note.seen_at).max()
    }

    /// Adds a use. False when another request of the same page added one a moment ago.
    pub(in crate::service) fn note(&self, session: SessionId, note: UnwrittenUse, resolution: Duration) -> bool {
        let untold = &mut *self.uses.lock();
        let uses = &mut untold.waiting;
        let earlier = uses.get(&session).copied();
        if earlier.is_some_and(|old| old.ip == note.ip && note.seen_at.since(old.seen_at) < resolution) {
            return false;
        }
        if earlier.is_none() && uses.len() >= MAX_WAITING {
            if !std::mem::replace(&mut untold.is_full, true) {
                log::warn!(
                    "{MAX_WAITING} sessions wait for their last-seen time to be written: further ones are dropped"
                );
            }
            return false;
        }
        untold.is_full &= uses.len() >= MAX_WAITING / 2;
        // An earlier use keeps its due time.
        let due = earlier.map_or(note.due, |old| old.due.min(note.due));
        let seen_at = earlier.map_or(note.seen_at, |old| old.seen_at.max(note.seen_at));
        uses.insert(session, UnwrittenUse { seen_at, due, ..note });
        true
    }

    pub(in crate::service) fn make_due(&self, session: SessionId) {
        if let Some(note) = self.uses.lock().waiting.get_mut(&session) {
            note.due = Duration::ZERO;
        }
        self.call();
    }

    /// Wakes the writer.
    pub(in crate::service) fn call(&self) {
        self.urgent.notify_one();
    }

    /// Takes the uses that are due, to be written: they stay known until [`LastSeenBuffer::told`] or
    /// [`LastSeenBuffer::give_back`].
    pub(in crate::service) fn take_due(&self, now: Duration) -> Vec<(SessionId, UnwrittenUse)> {
        let mut uses = self.uses.lock();
        let due: Vec<_> = uses.waiting.extract_if(|_, note| note.due <= now).collect();
        uses.telling.extend(due.iter().copied());
        due
    }

    /// The ledger has these uses now.
    pub(in crate::service) fn told(&self, told: &[(SessionId, UnwrittenUse)]) {
        let mut uses = self.uses.lock();
        for (id, _) in told {
            uses.telling.remove(id);
        }
    }

    /// The ledger does not have these uses. A use that was added meanwhile takes over the earlier due time.
    pub(in crate::service) fn give_back(&self, untold: &[(SessionId, UnwrittenUse)]) {
        let mut uses = self.uses.lock();
        for (id, note) in untold {
            uses.telling.remove(id);
            let newer = uses.waiting.entry(*id).and_modify(|newer| newer.due = newer.due.min(note.due));
            newer.or_insert(*note);
        }
    }

    /// Records whether due uses wait for a ledger that is down.
    pub(in crate::service) fn set_overdue(&self, overdue: bool) {
        self.overdue.send_replace(overdue);
    }

    pub(in crate::service) fn overdue(&self) -> bool {
        *self.overdue.borrow()
    }

    /// Waits until nothing is overdue; false when it still is after `at_most`.
    pub(in crate::service) async fn until_told(&self, at_most: Duration) -> bool {
        if !self.overdue() {
            return true;
        }
        let mut overdue = self.overdue.subscribe();
        tokio::time::timeout(at_most, overdue.wait_for(|overdue| !overdue)).await.is_ok()
    }

    /// Waits until something is due at once, or for `at_most`.
    pub(in crate::service) async fn until_urgent(&self, at_most: Duration) {
        let _elapsed = tokio::time::timeout(at_most, self.urgent.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    fn note(ms: i64, due: u64) -> UnwrittenUse {
        UnwrittenUse {
            seen_at: Timestamp::from_ms(ms),
            ip: IpAddr::from([127, 0, 0, 1]),
            due: Duration::from_secs(due),
        }
    }

    #[test]
    fn a_burst_of_requests_is_one_use_and_the_first_sets_the_deadline() {
        let uses = LastSeenBuffer::new(true);
        let id = SessionId::generate(Timestamp::from_ms(1), &SystemRandom);
        let ten = Duration::from_secs(10);
        assert!(uses.note(id, note(0, 30), ten));
        assert!(!uses.note(id, note(9_999, 39), ten));
        assert!(uses.note(id, note(10_000, 40), ten));
        assert!(uses.take_due(Duration::from_secs(29)).is_empty());
        let due = uses.take_due(Duration::from_secs(30));
        assert!(matches!(due.as_slice(), [(session, told)] if *session == id && told.seen_at.ms() == 10_000));
    }

    #[test]
    fn what_the_ledger_did_not_take_is_kept_unless_there_is_news() {
        let uses = LastSeenBuffer::new(true);
        let id = SessionId::generate(Timestamp::from_ms(1), &SystemRandom);
        uses.note(id, note(0, 0), Duration::ZERO);
        let untold = uses.take_due(Duration::ZERO);
        assert_eq!(uses.noted(id), Some(Timestamp::from_ms(0)), "known while it is written");
        uses.note(id, note(5, 0), Duration::ZERO);
        uses.give_back(&untold);
        assert_eq!(uses.noted(id), Some(Timestamp::from_ms(5)));
        uses.told(&uses.take_due(Duration::from_secs(1)));
        assert_eq!(uses.noted(id), None);
    }
    #[test]
    fn what_was_due_stays_due_when_the_ledger_did_not_take_it() {
        let uses = LastSeenBuffer::new(true);
        let id = SessionId::generate(Timestamp::from_ms(1), &SystemRandom);
        uses.note(id, note(0, 10), Duration::ZERO);
        let untold = uses.take_due(Duration::from_secs(10));
        uses.note(id, note(5_000, 40), Duration::ZERO);
        uses.give_back(&untold);
        let due = uses.take_due(Duration::from_secs(10));
        assert!(matches!(due.as_slice(), [(session, told)] if *session == id && told.seen_at.ms() == 5_000));
    }
}
