//! Mailbox: the notices that one stream has yet to send.
//!
//! Owns [`Mailbox`]: a few flags instead of a queue, so that repeated notices are sent once and nothing grows while a
//! client does not read.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A notice for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The user's list of sessions has changed.
    SessionsChanged,
    /// The session has ended, for this reason. The last notice.
    Ended(Arc<str>),
    /// The server closes the stream; the session is unaffected. The last notice.
    Closed,
}

/// The notices of one stream.
#[derive(Default)]
pub(in crate::service) struct Mailbox {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    last: Option<Notice>,
    changed: bool,
}

impl Mailbox {
    /// The list of sessions has changed.
    pub(in crate::service) fn sessions_changed(&self) {
        self.waiting.lock().changed = true;
        self.news.notify_one();
    }

    /// The session has ended.
    pub(in crate::service) fn end(&self, reason: Arc<str>) {
        self.finish(Notice::Ended(reason));
    }

    /// The stream closes.
    pub(in crate::service) fn close(&self) {
        self.finish(Notice::Closed);
    }

    /// The first final notice stands.
    fn finish(&self, last: Notice) {
        self.waiting.lock().last.get_or_insert(last);
        self.news.notify_one();
    }

    /// Waits for a notice. Cancelling the wait loses none.
    pub(in crate::service) async fn next(&self) -> Notice {
        loop {
            if let Some(notice) = self.take() {
                return notice;
            }
            self.news.notified().await;
        }
    }

    /// After the end, changes of the list do not matter.
    fn take(&self) -> Option<Notice> {
        let mut waiting = self.waiting.lock();
        let changed = std::mem::take(&mut waiting.changed);
        waiting.last.clone().or(changed.then_some(Notice::SessionsChanged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_twice_is_told_once_and_the_end_stays_what_it_was() {
        let mailbox = Mailbox::default();
        mailbox.sessions_changed();
        mailbox.sessions_changed();
        assert_eq!(mailbox.next().await, Notice::SessionsChanged);
        assert_eq!(mailbox.take(), None);
        mailbox.sessions_changed();
        mailbox.end("revoked".into());
        mailbox.close();
        for _ in 0..2 {
            assert_eq!(mailbox.next().await, Notice::Ended("revoked".into()));
        }
    }
}
