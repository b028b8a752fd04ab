//! What still waits to be told, for an operator who looks.
//!
//! Owns the view of it. Must never show a body: whoever looks wants to know how the receiver does.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::ledger::outbox::{self, Waiting};
use crate::service::core::unavailable::Unavailable;
use crate::service::events::Events;

/// Most messages that are shown one by one.
const SHOWN: i64 = 100;

/// What waits.
#[derive(Clone, Debug, Serialize)]
pub struct Pending {
    /// How many messages.
    pub pending: i64,
    /// Since when the oldest of them does.
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
    /// What it tells of.
    #[serde(rename = "type")]
    pub notice: String,
    /// When that happened.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried again, at the earliest.
    pub next_at: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

impl Events {
    /// What the webhook's receiver is still to be told.
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
