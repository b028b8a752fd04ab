//! Trial: a message without an event, to test that messages arrive.
//!
//! Owns the trial. It takes the path of every other message except the outbox; must never be retried.

use std::time::Duration;

use serde_json::json;
use uuid::Builder;

use crate::domain::webhook::{Notice, WebhookSecret};
use crate::domain::webhook_url::WebhookUrl;
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

/// Sends one message to `url`, signed with each of `secrets`.
pub async fn test(url: &WebhookUrl, secrets: &[WebhookSecret]) -> Tried {
    let (clock, random) = (SystemClock::new(), SystemRandom);
    let now = clock.now();
    let ms = u64::try_from(now.ms()).unwrap_or(0);
    let id = Builder::from_unix_timestamp_millis(ms, &random::bytes(&random)).into_uuid();
    let sender = Sender::new(url.clone(), secrets.to_vec());
    let (sent, start) = (body(Notice::Test, now, json!({})), clock.monotonic());
    let answered = sender.send(id, &sent, now).await;
    let took = clock.monotonic().saturating_sub(start);
    let (delivered, answer) = match answered {
        Ok(answer) => (answer.delivered(), answer.in_words()),
        Err(error) => (false, error.to_string()),
    };
    Tried { to: url.to_string(), delivered, answer, took }
}
