//! A message that tells of nothing, to try whether messages arrive.
//!
//! Owns the trial. It goes the way of every other message but for the outbox; must never be tried twice.

use std::time::Duration;

use serde_json::json;
use uuid::Builder;

use crate::config::Webhook;
use crate::domain::webhook::Notice;
use crate::domain::{Clock, SystemClock, SystemRandom, random};
use crate::service::events::webhook::body;
use crate::webhook::Sender;

/// What came of the trial.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Where it went, without what may be secret.
    pub to: String,
    /// Whether the receiver has taken it.
    pub delivered: bool,
    /// What was answered, or why there was no answer.
    pub answer: String,
    /// How long that took.
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
