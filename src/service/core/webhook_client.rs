//! The way out: the receiver, and the call that there is something for it.
//!
//! Owns [`WebhookClient`]. The call is a courtesy: what it misses is found a moment later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::webhook::Sender;

/// The way out to the receiver; one for each process.
pub(in crate::service) struct WebhookClient {
    pub(in crate::service) sender: Sender,
    told: AtomicBool,
    wake: Notify,
}

impl WebhookClient {
    pub(in crate::service) fn new(sender: Sender) -> Self {
        Self { sender, told: AtomicBool::new(false), wake: Notify::new() }
    }

    /// A transaction that is under way has something to tell.
    pub(in crate::service) fn told(&self) {
        self.told.store(true, Ordering::SeqCst);
    }

    /// A transaction has ended: if it, or another meanwhile, had something to tell, that can go now.
    pub(in crate::service) fn committed(&self) {
        if self.told.swap(false, Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    /// Waits for that call, but no longer than this.
    pub(in crate::service) async fn until_called(&self, longest: Duration) {
        let _called = timeout(longest, self.wake.notified()).await;
    }
}
