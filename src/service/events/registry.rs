//! Registry: the open streams of this node.
//!
//! Owns the streams by session and by user, the next lookup of each session, and the limits. Must never call a store:
//! it is used under a lock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::domain::session::Deadlines;
use crate::domain::{SessionId, Timestamp, UserId};
use crate::ledger::stream_queries::List;
use crate::service::events::mailbox::Mailbox;

/// Streams of one session: one for each tab of a browser that does not share them, and some that are closing.
const MOST_OF_SESSION: usize = 16;
/// Streams of one user on a node: enough for a few browsers. So one account with many sessions does not fill a node.
const MOST_OF_USER: usize = 200;

/// All streams of a node.
#[derive(Default)]
pub(in crate::service) struct Registry {
    sessions: HashMap<SessionId, Watched>,
    users: HashMap<UserId, Owner>,
    /// When each session is looked up next: one entry for each.
    due: BTreeSet<(Timestamp, SessionId)>,
    streams: usize,
    /// The number of the next stream: older streams have lower numbers.
    next: u64,
    closed: bool,
}

/// A session with streams, the oldest first.
struct Watched {
    user: UserId,
    expires: Timestamp,
    due: Timestamp,
    /// Each mailbox with the number of its stream.
    mailboxes: VecDeque<(u64, Arc<Mailbox>)>,
}

#[derive(Default)]
struct Owner {
    sessions: Vec<SessionId>,
    list: Option<List>,
}

/// The node has the maximum number of streams, or it is stopping.
pub(in crate::service) struct Full;

impl Registry {
    /// Adds a stream. At the limit of a session or a user, closes the oldest stream of the same one.
    pub(in crate::service) fn add(
        &mut self,
        (session, user): (SessionId, UserId),
        deadlines: Deadlines,
        mailbox: Arc<Mailbox>,
        most: usize,
    ) -> Result<(), Full> {
        self.room((session, user), most)?;
        if let Some(crowded) = self.crowded(session, user) {
            self.close_oldest(crowded);
        }
        let Self { sessions, users, due, .. } = self;
        let watched = sessions.entry(session).or_insert_with(|| {
            users.entry(user).or_default().sessions.push(session);
            let at = deadlines.idle_expires();
            due.insert((at, session));
            Watched { user, expires: deadlines.expires, due: at, mailboxes: VecDeque::with_capacity(1) }
        });
        watched.mailboxes.push_back((self.next, mailbox));
        self.next += 1;
        self.streams += 1;
        Ok(())
    }

    /// Whether there is room for one more stream of this session. A stream that replaces another needs no room.
    pub(in crate::service) fn room(&self, (session, user): (SessionId, UserId), most: usize) -> Result<(), Full> {
        let is_full = self.streams >= most && self.crowded(session, user).is_none();
        if self.closed || is_full { Err(Full) } else { Ok(()) }
    }

    /// The session whose oldest stream must close before this one gets another.
    fn crowded(&self, session: SessionId, user: UserId) -> Option<SessionId> {
        if self.sessions.get(&session).is_some_and(|watched| watched.mailboxes.len() >= MOST_OF_SESSION) {
            return Some(session);
        }
        let of_user = &self.users.get(&user)?.sessions;
        let watched = || of_user.iter().filter_map(|id| Some((*id, self.sessions.get(id)?)));
        let streams: usize = watched().map(|(_, watched)| watched.mailboxes.len()).sum();
        let oldest = |(id, watched): (SessionId, &Watched)| Some((watched.mailboxes.front()?.0, id));
        let (_, oldest) = watched().filter_map(oldest).min()?;
        (streams >= MOST_OF_USER).then_some(oldest)
    }

    fn close_oldest(&mut self, session: SessionId) {
        let Some(watched) = self.sessions.get_mut(&session) else { return };
        if let Some((_, oldest)) = watched.mailboxes.pop_front() {
            oldest.close();
            self.streams = self.streams.saturating_sub(1);
        }
        if watched.mailboxes.is_empty() {
            self.forget(session);
        }
    }

    /// Removes a closed stream.
    pub(in crate::service) fn remove(&mut self, session: SessionId, mailbox: &Arc<Mailbox>) {
        let Some(watched) = self.sessions.get_mut(&session) else { return };
        let before = watched.mailboxes.len();
        watched.mailboxes.retain(|(_, other)| !Arc::ptr_eq(other, mailbox));
        self.streams = self.streams.saturating_sub(before - watched.mailboxes.len());
        if watched.mailboxes.is_empty() {
            self.forget(session);
        }
    }

    /// Ends a session: notifies its streams and removes them.
    pub(in crate::service) fn end(&mut self, session: SessionId, reason: &Arc<str>) -> Option<UserId> {
        let watched = self.forget(session)?;
        self.streams = self.streams.saturating_sub(watched.mailboxes.len());
        watched.mailboxes.iter().for_each(|(_, mailbox)| mailbox.end(Arc::clone(reason)));
        Some(watched.user)
    }

    fn forget(&mut self, session: SessionId) -> Option<Watched> {
        let watched = self.sessions.remove(&session)?;
        self.due.remove(&(watched.due, session));
        if let Some(owner) = self.users.get_mut(&watched.user) {
            owner.sessions.retain(|other| *other != session);
            if owner.sessions.is_empty() {
                self.users.remove(&watched.user);
            }
        }
        Some(watched)
    }

    /// Ends all streams and takes no more.
    pub(in crate::service) fn close(&mut self) {
        self.closed = true;
        let sessions = std::mem::take(&mut self.sessions);
        sessions.values().flat_map(|watched| &watched.mailboxes).for_each(|(_, mailbox)| mailbox.close());
        (self.users, self.due, self.streams) = Default::default();
    }

    /// Takes at most `most` due sessions: those whose absolute deadline has passed at `now`, and those that may have been
    /// idle too long. The latter are due again at `again`, unless [`Registry::look_again`] says otherwise.
    pub(in crate::service) fn take_due(
        &mut self,
        now: Timestamp,
        again: Timestamp,
        most: usize,
    ) -> [Vec<SessionId>; 2] {
        let due: Vec<_> = self.due.iter().take_while(|(at, _)| *at <= now).take(most).map(|(_, id)| *id).collect();
        let is_over = |id: &SessionId| self.sessions.get(id).is_some_and(|watched| watched.expires <= now);
        let (over, resting): (Vec<_>, Vec<_>) = due.into_iter().partition(is_over);
        resting.iter().for_each(|session| self.look_again(*session, again));
        [over, resting]
    }

    /// Looks up the session at this time, or at its absolute deadline.
    pub(in crate::service) fn look_again(&mut self, session: SessionId, at: Timestamp) {
        let Some(watched) = self.sessions.get_mut(&session) else { return };
        self.due.remove(&(watched.due, session));
        watched.due = at.min(watched.expires);
        self.due.insert((watched.due, session));
    }

    /// A user's current list of sessions: notifies the streams that knew another one.
    pub(in crate::service) fn compare(&mut self, user: UserId, list: List) {
        let Some(owner) = self.users.get_mut(&user) else { return };
        if owner.list.replace(list.clone()).is_some_and(|before| before != list) {
            self.sessions_changed(user);
        }
    }

    /// Notifies all streams of a user.
    pub(in crate::service) fn sessions_changed(&self, user: UserId) {
        let sessions = self.users.get(&user).map(|owner| owner.sessions.as_slice()).unwrap_or_default();
        let watched = sessions.iter().filter_map(|session| self.sessions.get(session));
        watched.flat_map(|watched| &watched.mailboxes).for_each(|(_, mailbox)| mailbox.sessions_changed());
    }

    /// Whether this user has a stream.
    pub(in crate::service) fn knows(&self, user: UserId) -> bool {
        self.users.contains_key(&user)
    }

    /// Whether this session has a stream.
    pub(in crate::service) fn watches(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// All sessions with a stream.
    pub(in crate::service) fn all(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    /// How many streams there are.
    pub(in crate::service) fn streams(&self) -> usize {
        self.streams
    }
}
