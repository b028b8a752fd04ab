//! Address changes: sessions used from a new address, until they are judged.
//!
//! Owns the bounded queue between a use and its judgement, and the set of judged changes. Must never delay a request: a
//! change that does not fit is left to the next use or to the periodic rounds.

use std::collections::HashSet;
use std::net::IpAddr;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::{SessionId, Timestamp, UserId};

/// The most changes that wait.
const MAX_WAITING: usize = 4_096;
/// The most changes that are remembered as judged.
const MAX_JUDGED: usize = 16_384;

/// A session that was used from a new address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct AddressChange {
    pub(in crate::service) user: UserId,
    pub(in crate::service) session: SessionId,
    pub(in crate::service) from: (IpAddr, Timestamp),
    pub(in crate::service) to: (IpAddr, Timestamp),
}

/// The destination of a change, as the rules see it (country and network), with the hour: a slow move to a place must
/// not excuse a fast one there later.
pub(in crate::service) type Destination = (Option<String>, Option<i64>, i64);

/// The address changes of one node.
#[derive(Default)]
pub(in crate::service) struct AddressChanges {
    waiting: Mutex<Vec<AddressChange>>,
    judged: Mutex<HashSet<(SessionId, Destination)>>,
    news: Notify,
}

impl AddressChanges {
    /// Queues a change.
    pub(in crate::service) fn note(&self, moved: AddressChange) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < MAX_WAITING {
            waiting.push(moved);
            self.news.notify_one();
        }
    }

    /// Waits for changes, and takes all of them.
    pub(in crate::service) async fn take(&self) -> Vec<AddressChange> {
        loop {
            let taken = std::mem::take(&mut *self.waiting.lock());
            if !taken.is_empty() {
                return taken;
            }
            self.news.notified().await;
        }
    }

    /// Whether this session's move to this destination is not yet judged; marks it as judged.
    pub(in crate::service) fn is_new(&self, session: SessionId, destination: Destination) -> bool {
        let mut judged = self.judged.lock();
        if judged.len() >= MAX_JUDGED {
            judged.clear();
        }
        judged.insert((session, destination))
    }

    /// The change could not be judged.
    pub(in crate::service) fn forget(&self, session: SessionId, destination: Destination) {
        self.judged.lock().remove(&(session, destination));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    fn moved() -> AddressChange {
        let at = Timestamp::from_ms(1);
        let (from, to) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let (user, session) = (UserId::generate(at, &SystemRandom), SessionId::generate(at, &SystemRandom));
        AddressChange { user, session, from: (from, at), to: (to, at) }
    }

    #[tokio::test]
    async fn what_waits_and_what_is_remembered_is_bounded() {
        let address_changes = AddressChanges::default();
        for _ in 0..MAX_WAITING + 7 {
            address_changes.note(moved());
        }
        assert_eq!(address_changes.take().await.len(), MAX_WAITING);
        address_changes.note(moved());
        assert_eq!(address_changes.take().await.len(), 1);
        for _ in 0..=MAX_JUDGED {
            address_changes.is_new(moved().session, (None, None, 0));
        }
        assert!(address_changes.judged.lock().len() <= MAX_JUDGED);
    }

    #[test]
    fn a_session_comes_to_a_place_once() {
        let (address_changes, session) = (AddressChanges::default(), moved().session);
        let portugal = || (Some("PT".to_owned()), Some(3_243), 0);
        assert!(address_changes.is_new(session, portugal()) && !address_changes.is_new(session, portugal()));
        assert!(address_changes.is_new(session, (Some("PT".to_owned()), None, 0)));
        assert!(address_changes.is_new(session, (Some("PT".to_owned()), Some(3_243), 1)), "an hour later");
        address_changes.forget(session, portugal());
        assert!(address_changes.is_new(session, portugal()));
    }
}
