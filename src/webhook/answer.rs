//! The receiver's answer, and what it means.
//!
//! Owns [`Answer`]. Its status alone says whether the message has arrived: the body is for an operator who looks into a
//! failure, and is never waited for longer than a moment nor read beyond its first bytes.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Response, StatusCode};
use tokio::time::timeout;

use crate::domain::webhook_url::WebhookUrl;

/// Most of a body that is read, and shown.
const MOST_BODY: usize = 4_096;
const MOST_SHOWN: usize = 200;
/// How long a body is waited for.
const BODY_WAIT: Duration = Duration::from_secs(1);
/// The longest that a receiver may ask us to stay away.
const MOST_AWAY: Duration = Duration::from_secs(3_600);

/// Why there was no answer, as the rest of a sentence; whether the message has arrived is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// What the receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    away: Option<Duration>,
    body: String,
}

impl Answer {
    /// Reads what was answered by the receiver at `url`, of whose path receivers like to say that it is not found.
    pub(super) async fn read(answer: Response<Incoming>, url: &WebhookUrl) -> Self {
        let (head, body) = answer.into_parts();
        // It has arrived, whatever else is said about it.
        let body = if head.status.is_success() { String::new() } else { url.masked_in(&beginning(body).await) };
        let body = body.chars().take(MOST_SHOWN).collect();
        Self { status: head.status, away: away(head.status, &head.headers), body }
    }

    /// Whether the receiver has taken the message: 2xx and nothing else. A redirect is no place to take a message to,
    /// and no 4xx tells a message that will never do from a receiver that is set up wrongly.
    pub fn delivered(&self) -> bool {
        self.status.is_success()
    }

    /// How long the receiver wants to be left alone.
    pub fn away(&self) -> Option<Duration> {
        self.away
    }

    /// The status in words, and how the body of a refusal begins.
    pub fn in_words(&self) -> String {
        let status = match self.status.canonical_reason() {
            Some(reason) => format!("{} {reason}", self.status.as_u16()),
            None => self.status.as_u16().to_string(),
        };
        let hint = match self.status {
            StatusCode::GONE => "; the receiver says that it is gone for good",
            status if status.is_redirection() => "; redirects are not followed",
            _ => "",
        };
        if self.body.is_empty() { format!("{status}{hint}") } else { format!("{status}{hint}: {}", self.body) }
    }
}

fn away(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    match status {
        StatusCode::GONE => Some(MOST_AWAY),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            // Seconds; the other form, a date, is as good as none.
            let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            seconds.map(|seconds| Duration::from_secs(seconds).min(MOST_AWAY))
        }
        _ => None,
    }
}

/// How a body begins, on one line.
async fn beginning(mut body: Incoming) -> String {
    let mut read = Vec::new();
    let _in_time = timeout(BODY_WAIT, async {
        while read.len() < MOST_BODY {
            let Some(Ok(frame)) = body.frame().await else { return };
            read.extend(frame.data_ref().into_iter().flatten().take(MOST_BODY.saturating_sub(read.len())).copied());
        }
    })
    .await;
    let words = String::from_utf8_lossy(&read);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
