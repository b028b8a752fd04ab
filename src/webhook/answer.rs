//! Answer: the receiver's answer, and what it means.
//!
//! Owns [`Answer`]. Only its status says whether the message has arrived: the body helps an operator with a failure,
//! and is read for at most a moment, and only its first bytes.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Response, StatusCode};
use tokio::time::timeout;

use crate::domain::webhook_url::WebhookUrl;

/// The most bytes of a body that are read, and the most characters that are shown.
const MOST_BODY: usize = 4_096;
const MOST_SHOWN: usize = 200;
/// How long to wait for a body.
const BODY_WAIT: Duration = Duration::from_secs(1);
/// The longest pause that a receiver may ask for.
const MOST_AWAY: Duration = Duration::from_secs(3_600);

/// Why there was no answer, as the end of a sentence; the message may have arrived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// The receiver's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    away: Option<Duration>,
    body: String,
}

impl Answer {
    /// Reads the answer of the receiver at `url`, whose path many receivers repeat in a 404.
    pub(super) async fn read(answer: Response<Incoming>, url: &WebhookUrl) -> Self {
        let (head, body) = answer.into_parts();
        // It has arrived: the body does not matter.
        let body = if head.status.is_success() { String::new() } else { url.masked_in(&beginning(body).await) };
        let body = body.chars().take(MOST_SHOWN).collect();
        Self { status: head.status, away: away(head.status, &head.headers), body }
    }

    /// Whether the receiver has accepted the message: only 2xx. A message does not follow a redirect, and no 4xx
    /// distinguishes a bad message from a misconfigured receiver.
    pub fn delivered(&self) -> bool {
        self.status.is_success()
    }

    /// The pause that the receiver asks for.
    pub fn away(&self) -> Option<Duration> {
        self.away
    }

    /// The status in words, and the beginning of a refusal's body.
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
            // Seconds; the other form, a date, is ignored.
            let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            seconds.map(|seconds| Duration::from_secs(seconds).min(MOST_AWAY))
        }
        _ => None,
    }
}

/// The beginning of a body, on one line.
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
