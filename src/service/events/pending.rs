//! Pending: the webhook messages that still wait, for an operator.
//!
//! Owns this view. Must never show a body: it only shows the state of the receiver.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::ledger::outbox::{self, Waiting};
use crate::service::core::unavailable::Unavailable;
use crate::service::events::Events;

/// The most messages that are listed.
const SHOWN: i64 = 100;

/// The waiting messages.
#[derive(Clone, Debug, Serialize)]
pub struct Pending {
    /// How many messages.
    pub pending: i64,
    /// When the oldest of them was created.
    pub oldest_at: Option<Timestamp>,
    /// How many were given up in the last thirty days.
    pub given_up: i64,
    /// The oldest ones.
    pub notices: Vec<PendingNotice>,
}

/// One message that waits.
#[derive(Clone, Debug, Serialize)]
pub struct PendingNotice {
    /// Its `webhook-id`.
    pub id: String,
    /// The kind of event.
    #[serde(rename = "type")]
    pub notice: String,
    /// When the event happened.
    pub created_at: Timestamp,
    /// The number of attempts.
    pub attempts: i64,
    /// The earliest time of the next attempt.
    pub next_at: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

impl Events {
    /// The messages that the webhook's receiver has yet to get.
    pub async fn pending_notices(&self) -> Result<Pending, Unavailable> {
        let read = self.core.ledger.read(|db| Ok((outbox::backlog(db)?, outbox::waiting(db, SHOWN)?))).await;
        let (backlog, waiting) = read?;
        Ok(Pending {
            pending: backlog.waiting,
            oldest_at: backlog.since,
            given_up: backlog.given_up,
            notices: waiting.into_iter().map(PendingNotice::from).collect(),
        })
    }
}

impl From<Waiting> for PendingNotice {
    fn from(row: Waiting) -> Self {
        let Waiting { id, event: notice, created_at, next_at, attempts, last_error } = row;
        Self { id, notice, created_at, attempts, next_at, last_error }
    }
}
