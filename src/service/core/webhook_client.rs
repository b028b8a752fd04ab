//! Webhook client: the sender to the receiver, and the wake-up when there is a message.
//!
//! Owns [`WebhookClient`]. A lost wake-up does no harm: the next poll finds the message a moment later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::webhook::Sender;

/// The sender to the webhook's receiver; one for each process.
pub(in crate::service) struct WebhookClient {
    pub(in crate::service) sender: Sender,
    told: AtomicBool,
    wake: Notify,
}

impl WebhookClient {
    pub(in crate::service) fn new(sender: Sender) -> Self {
        Self { sender, told: AtomicBool::new(false), wake: Notify::new() }
    }

    /// A transaction in progress has written a message.
    pub(in crate::service) fn told(&self) {
        self.told.store(true, Ordering::SeqCst);
    }

    /// A transaction has ended: wakes the sender if this or another transaction has written a message.
    pub(in crate::service) fn committed(&self) {
        if self.told.swap(false, Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    /// Waits for a wake-up, at most this long.
    pub(in crate::service) async fn until_called(&self, longest: Duration) {
        let _called = timeout(longest, self.wake.notified()).await;
    }
}
