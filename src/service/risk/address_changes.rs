//! Moves: sessions that were used from another address than before, until somebody looks at them.
//!
//! Owns the queue between a use and that look, with a limit, and what was looked at already. Must never keep a request
//! waiting: what does not fit is left to the next use or to the rounds.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::{SessionId, Timestamp, UserId};

/// Most moves that wait.
const MAX_WAITING: usize = 4_096;
/// Most that are remembered as looked at.
const MAX_JUDGED: usize = 16_384;

/// A session that was used from another address than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct AddressChange {
    pub(in crate::service) user: UserId,
    pub(in crate::service) session: SessionId,
    pub(in crate::service) from: (IpAddr, Timestamp),
    pub(in crate::service) to: (IpAddr, Timestamp),
}

/// Where a move led, as far as rules go by it (country and network), and in which hour: to come there slowly once is no
/// licence to come there fast.
pub(in crate::service) type Destination = (Option<String>, Option<i64>, i64);

/// The moves of one node.
#[derive(Default)]
pub(in crate::service) struct AddressChanges {
    waiting: Mutex<Vec<AddressChange>>,
    judged: Mutex<HashSet<(SessionId, Destination)>>,
    news: Notify,
}

impl AddressChanges {
    /// Notes a move.
    pub(in crate::service) fn note(&self, moved: AddressChange) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING {
            waiting.push(moved);
            self.news.notify_one();
        }
    }

    /// Waits for some, and takes all that there are.
    pub(in crate::service) async fn take(&self) -> Vec<AddressChange> {
        loop {
            let taken = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            self.news.notified().await;
        }
    }

    /// Whether this session's coming to this place is yet to be judged; from now on it is.
    pub(in crate::service) fn is_new(&self, session: SessionId, destination: Destination) -> bool {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if judged.len() >= MAX_JUDGED {
            judged.clear();
        }
        judged.insert((session, destination))
    }

    /// It could not be judged.
    pub(in crate::service) fn forget(&self, session: SessionId, destination: Destination) {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).remove(&(session, destination));
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
        assert!(address_changes.judged.lock().unwrap().len() <= MAX_JUDGED);
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
