//! Hub: the event streams of this node, and the sessions to look up for them.
//!
//! Owns the path from a hint about a session to the one task that asks the ledger. Hints may be lost, doubled or wrong:
//! they only say where to look. The queue is bounded; when it overflows, every session is looked up.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::session::Deadlines;
use crate::domain::{SessionId, UserId};
use crate::service::events::mailbox::{Mailbox, Notice};
use crate::service::events::registry::{Full, Registry};

/// The most hints that wait: beyond it, every session is looked up.
const MOST_HINTS: usize = 10_000;

/// All streams of a node.
pub(in crate::service) struct Hub {
    pub(in crate::service) registry: Mutex<Registry>,
    hints: Mutex<Hints>,
    news: Notify,
    /// Whether this node cannot hear the others.
    deaf: AtomicBool,
    most: usize,
}

#[derive(Default)]
pub(in crate::service) struct Hints {
    /// The sessions to look up next.
    pub(in crate::service) sessions: HashSet<SessionId>,
    /// Whether hints may have been missed.
    pub(in crate::service) all: bool,
}

impl Hub {
    /// A hub without streams.
    pub(in crate::service) fn new(most: usize) -> Self {
        Self {
            registry: Mutex::default(),
            hints: Mutex::default(),
            news: Notify::new(),
            deaf: AtomicBool::new(true),
            most,
        }
    }

    /// These sessions may have changed.
    pub(in crate::service) fn hint(&self, sessions: impl IntoIterator<Item = SessionId>) {
        if self.registry.lock().streams() == 0 {
            return;
        }
        let mut hints = self.hints.lock();
        for session in sessions {
            if hints.sessions.len() >= MOST_HINTS {
                hints.all = true;
                hints.sessions.clear();
            }
            if !hints.all {
                hints.sessions.insert(session);
            }
        }
        drop(hints);
        self.news.notify_one();
    }

    /// Hints may have been missed.
    pub(in crate::service) fn hint_missed(&self) {
        self.hints.lock().all = true;
        self.news.notify_one();
    }

    /// Other nodes can be heard from now on, or no longer. Hints may have been missed in both cases.
    pub(in crate::service) fn set_deaf(&self, deaf: bool) {
        if self.deaf.swap(deaf, Ordering::SeqCst) != deaf || !deaf {
            self.hint_missed();
        }
    }

    /// Whether other nodes cannot be heard.
    pub(in crate::service) fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::SeqCst)
    }

    /// Waits for a hint.
    pub(in crate::service) async fn hinted(&self) {
        self.news.notified().await;
    }

    /// Takes at most this many hints.
    pub(in crate::service) fn take_hints(&self, most: usize) -> Hints {
        let mut hints = self.hints.lock();
        let taken: HashSet<_> = hints.sessions.iter().take(most).copied().collect();
        hints.sessions.retain(|session| !taken.contains(session));
        Hints { sessions: taken, all: std::mem::take(&mut hints.all) }
    }

    /// Ends all streams and takes no more.
    pub(in crate::service) fn close(&self) {
        self.registry.lock().close();
    }

    /// How many streams there are.
    pub(in crate::service) fn streams(&self) -> usize {
        self.registry.lock().streams()
    }

    /// Whether there is room for one more stream.
    pub(in crate::service) fn has_room(&self, session: SessionId, user: UserId) -> Result<(), Full> {
        self.registry.lock().room((session, user), self.most)
    }

    /// Adds a stream. Its session is looked up first, for changes since its check.
    pub(in crate::service) fn open(
        self: &Arc<Self>,
        session: SessionId,
        user: UserId,
        deadlines: Deadlines,
    ) -> Result<EventStream, Full> {
        let mailbox = Arc::new(Mailbox::default());
        self.registry.lock().add((session, user), deadlines, Arc::clone(&mailbox), self.most)?;
        let stream = EventStream { hub: Arc::clone(self), session, mailbox };
        self.hint([session]);
        Ok(stream)
    }
}

/// One open stream. Dropping it removes it.
pub struct EventStream {
    hub: Arc<Hub>,
    session: SessionId,
    mailbox: Arc<Mailbox>,
}

impl EventStream {
    /// The session of the stream.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Waits for a notice. Cancelling the wait loses none.
    pub async fn next(&self) -> Notice {
        self.mailbox.next().await
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.hub.registry.lock().remove(self.session, &self.mailbox);
    }
}
