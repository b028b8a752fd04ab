//! Acknowledgements: which nodes have answered a message of this node to drop copies.
//!
//! Owns the messages that wait. Must never count an answer for another message than the one that it names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::live::Acknowledgement;

/// Holders that were told in the log.
const MOST_TOLD: usize = 1_000;
/// The messages of this node that wait for answers.
#[derive(Default)]
pub(in crate::service) struct Acknowledgements {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Arc<Waiting>>>,
    told: Mutex<HashSet<String>>,
}

#[derive(Default)]
struct Waiting {
    heard: Mutex<HashSet<String>>,
    news: Notify,
}

/// One message, until its sender has what it waits for.
pub(in crate::service) struct Message<'a> {
    pub(in crate::service) number: u64,
    waiting: Arc<Waiting>,
    all: &'a Acknowledgements,
}

impl Message<'_> {
    /// The holders that have answered.
    pub(in crate::service) fn heard(&self) -> HashSet<String> {
        self.waiting.heard.lock().clone()
    }

    /// Waits for the next answer.
    pub(in crate::service) async fn news(&self) {
        self.waiting.news.notified().await;
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        self.all.waiting.lock().remove(&self.number);
    }
}

impl Acknowledgements {
    /// A new message.
    pub(in crate::service) fn open(&self) -> Message<'_> {
        // Zero is the number of a message that nobody waits for.
        let number = self.next.fetch_add(1, Ordering::SeqCst).wrapping_add(1);
        let waiting = Arc::new(Waiting::default());
        self.waiting.lock().insert(number, Arc::clone(&waiting));
        Message { number, waiting, all: self }
    }

    /// Takes an answer to the message that it names.
    pub(in crate::service) fn take(&self, Acknowledgement { holder, number }: Acknowledgement) {
        let waiting = self.waiting.lock().get(&number).cloned();
        if let Some(waiting) = waiting {
            waiting.heard.lock().insert(holder);
            waiting.news.notify_one();
        }
    }

    /// Whether this holder was not told in the log before.
    pub(in crate::service) fn is_new(&self, holder: &str) -> bool {
        let mut told = self.told.lock();
        if told.len() >= MOST_TOLD {
            told.clear();
        }
        told.insert(holder.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_its_own_message_alone_and_no_message_is_left_behind() {
        let all = Acknowledgements::default();
        let (one, other) = (all.open(), all.open());
        all.take(Acknowledgement { holder: "n".to_owned(), number: one.number });
        all.take(Acknowledgement { holder: "n".to_owned(), number: 99 });
        assert!(one.heard().contains("n"));
        assert!(other.heard().is_empty());
        drop((one, other));
        assert!(all.waiting.lock().is_empty());
    }
}
