//! The webhook: hands one signed message to the receiver and says what came of it.
//!
//! Owns the client side of HTTP, which is one request on one connection: no redirect is followed, no proxy asked, no
//! connection kept, and the address that was judged is the one that is connected to. Every wait has a bound, and of an
//! answer a few KB are read. Must never decide whether to try again, and never know what a message tells.

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

/// How long the receiver may take until its answer begins, with all that comes before.
pub const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// Most of an answer's head; what hyper takes at the least.
const MOST_HEAD: usize = 8_192;

/// Hands messages to one receiver; one for each process.
pub struct Sender {
    connector: Connector,
    secrets: Vec<WebhookSecret>,
}

impl Sender {
    /// For this receiver, which shares these secrets. Asks nobody anything.
    pub fn new(url: WebhookUrl, secrets: Vec<WebhookSecret>) -> Self {
        Self { connector: Connector::new(url), secrets }
    }

    /// Where messages go, without what may be a secret of it.
    pub fn url(&self) -> &WebhookUrl {
        self.connector.url()
    }

    /// Reads whom this machine trusts, before it is needed: without, no message could ever be sent.
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
        // Its bytes move as long as this call lasts, and no longer: it is closed with the set.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = sender.send_request(request).await.map_err(failed)?;
        Ok(Answer::read(answer, self.url()).await)
    }
}
