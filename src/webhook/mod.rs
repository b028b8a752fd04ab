//! Webhook: sends one signed message to the receiver and returns the result.
//!
//! Owns the HTTP client, with one request on one connection: it follows no redirect, uses no proxy, keeps no
//! connection, and connects only to the address that was judged. Every wait has a time limit, and it reads at most a
//! few KB of an answer. Must never decide on a retry, and never know what a message means.

mod answer;
mod connect;

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request};
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

pub use answer::{Answer, NoAnswer};

use connect::Connector;

use crate::domain::Timestamp;
use crate::domain::webhook::{self, WebhookSecret};
use crate::domain::webhook_url::WebhookUrl;

/// How long the receiver may take until its answer begins, including all earlier steps.
pub const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// The most bytes of an answer's head; hyper's minimum.
const MOST_HEAD: usize = 8_192;

/// Sends messages to one receiver; one for each process.
pub struct Sender {
    connector: Connector,
    secrets: Vec<WebhookSecret>,
}

impl Sender {
    /// For this receiver, which shares these secrets. Connects to nothing.
    pub fn new(url: WebhookUrl, secrets: Vec<WebhookSecret>) -> Self {
        Self { connector: Connector::new(url), secrets }
    }

    /// The receiver's URL, without possible secrets.
    pub fn url(&self) -> &WebhookUrl {
        self.connector.url()
    }

    /// Reads the machine's trust store before it is needed: without it, no message could ever be sent.
    pub fn prepare(&self) -> Result<(), NoAnswer> {
        self.connector.trust().map(drop)
    }

    /// Sends a message once, signed as of now.
    pub async fn send(&self, id: Uuid, body: &str, now: Timestamp) -> Result<Answer, NoAnswer> {
        let request = self.request(id, body, now)?;
        let sent = timeout(ANSWER_WAIT, self.exchange(request)).await;
        sent.unwrap_or_else(|_| Err(NoAnswer(format!("no answer within {} s", ANSWER_WAIT.as_secs()))))
    }

    fn request(&self, id: Uuid, body: &str, now: Timestamp) -> Result<Request<Full<Bytes>>, NoAnswer> {
        let signed = webhook::sign(&self.secrets, id, now, body.as_bytes());
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url().path_and_query())
            .header(HOST, self.url().authority())
            .header(USER_AGENT, concat!("sessiond/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close")
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature);
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        request.body(body).map_err(|error| NoAnswer(format!("the request cannot be written: {error}")))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        let stream = self.connector.connect().await?;
        let failed = |error: hyper::Error| NoAnswer(format!("the receiver's connection failed: {error}"));
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(MOST_HEAD).handshake(stream).await.map_err(failed)?;
        // Drives the connection for the length of this call: dropping the set closes it.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = sender.send_request(request).await.map_err(failed)?;
        Ok(Answer::read(answer, self.url()).await)
    }
}
