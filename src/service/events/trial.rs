//! Trial: a message without an event, to test that messages arrive.
//!
//! Owns the trial. It takes the path of every other message except the outbox; must never be retried.

use std::time::Duration;

use serde_json::json;
use uuid::Builder;

use crate::config::Webhook;
use crate::domain::webhook::Notice;
use crate::domain::{Clock, SystemClock, SystemRandom, random};
use crate::service::events::webhook::body;
use crate::webhook::Sender;

/// The result of a trial.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The receiver's URL, without possible secrets.
    pub to: String,
    /// Whether the receiver accepted it.
    pub delivered: bool,
    /// The answer, or why there was none.
    pub answer: String,
    /// How long the attempt took.
    pub took: Duration,
}

/// Sends one message.
pub async fn test(webhook: &Webhook) -> Tried {
    let (clock, random) = (SystemClock::new(), SystemRandom);
    let now = clock.now();
    let ms = u64::try_from(now.ms()).unwrap_or(0);
    let id = Builder::from_unix_timestamp_millis(ms, &random::bytes(&random)).into_uuid();
    let sender = Sender::new(webhook.url.clone(), webhook.secrets.clone());
    let (sent, start) = (body(Notice::Test, now, json!({})), clock.monotonic());
    let answered = sender.send(id, &sent, now).await;
    let took = clock.monotonic().saturating_sub(start);
    let (delivered, answer) = match answered {
        Ok(answer) => (answer.delivered(), answer.in_words()),
        Err(error) => (false, error.to_string()),
    };
    Tried { to: webhook.url.to_string(), delivered, answer, took }
}
