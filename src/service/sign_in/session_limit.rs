//! The session limit: how many live sessions a user may have, and which of them make room for a new one. Sessions in which
//! somebody acts for the user are counted apart: they take no room from the user's own, and none is evicted.
//!
//! Owns the choice. Must never end a session: [`super::issue`] does, in the same transaction.

use crate::domain::{AtLimit, SessionId};
use crate::ledger::sessions::{self, Session};
use crate::ledger::{Db, LedgerError, acting_sessions};

/// Most live sessions of a user in which somebody acts.
const MOST_ACTING: usize = 100;

/// The operator's limit.
#[derive(Clone, Copy)]
pub(in crate::service) struct SessionLimit {
    pub(in crate::service) most: usize,
    pub(in crate::service) at_limit: AtLimit,
}

/// The user's own live sessions during a sign-in.
#[derive(Default)]
pub(in crate::service) struct Room {
    /// The sessions to evict, the oldest first.
    pub(in crate::service) evicted: Vec<SessionId>,
    /// The sessions that stay.
    pub(in crate::service) staying: Vec<Session>,
}

impl SessionLimit {
    /// None when there is no room for `new` and no session may be evicted. The sessions in `going` end anyway.
    pub(in crate::service) fn make_room(
        self,
        db: &mut Db,
        new: &Session,
        going: &[SessionId],
    ) -> Result<Option<Room>, LedgerError> {
        let now = new.created_at;
        if new.actor.is_some() {
            let room = acting_sessions::count(db, new.user_id, now)? < MOST_ACTING;
            return Ok(room.then(Room::default));
        }
        let mut live = sessions::of_user(db, new.user_id, now)?;
        let counts = |session: &Session| session.actor.is_none() && session.deadlines().hold_with_lag(now);
        live.retain(|session| counts(session) && !going.contains(&session.id));
        let surplus = (live.len() + 1).saturating_sub(self.most);
        if surplus > 0 && self.at_limit == AtLimit::Refuse {
            return Ok(None);
        }
        let staying = live.split_off(surplus.min(live.len()));
        Ok(Some(Room { evicted: live.iter().map(|session| session.id).collect(), staying }))
    }
}
