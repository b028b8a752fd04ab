//! The route that tells an open page what happens to its session: server-sent events.
//!
//! Owns the form of the events. Holds one message at a time: it makes the next one when the client has taken the last.
//! Must never count as a use of the session, and never hold its token.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::time::{Interval, interval};

use super::extract::SignedIn;
use super::problem::Problem;
use super::site::Site;
use crate::domain::{SystemRandom, random};
use crate::service::{EventStream, Notice};

/// nginx buffers a response unless this header says not to.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Interval of the heartbeat; proxies commonly give up after a minute of silence.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Fewest heartbeats of a stream, and the most that are added: about an hour, but not all streams at once. Only this
/// limit ends the stream of a client that does not read.
const LEAST_BEATS: u16 = 200;
const MORE_BEATS: u16 = 80;
/// Milliseconds after which a browser reconnects.
const RETRY: u16 = 2_000;

/// Streams the session's events to an open page (`text/event-stream`, for `EventSource`).
/// `session` comes first, with the session's id. `sessions-changed`: the list of the user's sessions has changed.
/// `heartbeat`: every 15 seconds. `session-ended`: the session has ended, with the reason; then the server closes the
/// stream. If a stream ends without `session-ended`, reconnect: the session may still be live. Listening does not count
/// as use of the session.
#[utoipa::path(
    get, path = "/events", operation_id = "watch_session", tag = "signed in",
    responses(
        (status = 200, description = "Events, until the session or the stream ends.", body = String,
         content_type = "text/event-stream",
         example = json!("event: session\ndata: {\"session\":\"0198c0de-0000-7000-8000-000000000001\"}\n\n")),
        (status = 503, description = "Too many streams are open on this node (`busy`)."),
    )
)]
pub async fn open(
    site: Data<Site>,
    request: HttpRequest,
    SignedIn(checked): SignedIn,
) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream");
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((ACCEL_BUFFERING, "no"));
    if *request.method() == Method::HEAD {
        site.app.events.may_watch_session(&checked)?;
        return Ok(response.finish());
    }
    let stream = site.app.events.watch_session(&checked)?;
    // The connection closes with the stream: the client has no more use for it, and the node saves an open file.
    response.force_close();
    Ok(response.streaming(told(stream)))
}

/// A stream on its way to the client.
struct Telling {
    stream: EventStream,
    heartbeat: Interval,
    beats_left: u16,
    is_new: bool,
    is_over: bool,
}

fn told(stream: EventStream) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let [chance] = random::bytes(&SystemRandom);
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.reset();
    let beats_left = LEAST_BEATS + MORE_BEATS * u16::from(chance) / 255;
    unfold(Telling { stream, heartbeat, beats_left, is_new: true, is_over: false }, async |mut telling| {
        let message = telling.next().await?;
        Some((Ok(message), telling))
    })
}

impl Telling {
    /// The next message; `None` when the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let session = self.stream.session();
        if std::mem::take(&mut self.is_new) {
            return Some(format!("retry: {RETRY}\n{}", event("session", &json!({ "session": session }))).into());
        }
        let notice = tokio::select! {
            notice = self.stream.next() => notice,
            _ = self.heartbeat.tick() => {
                self.beats_left = self.beats_left.checked_sub(1)?;
                return Some(event("heartbeat", &json!({})).into());
            }
        };
        match notice {
            Notice::SessionsChanged => Some(event("sessions-changed", &json!({})).into()),
            Notice::Ended(reason) => {
                self.is_over = true;
                Some(event("session-ended", &json!({ "session": session, "reason": &*reason })).into())
            }
            Notice::Closed => None,
        }
    }
}

/// One event. The JSON has no line breaks, so it is one line of data.
fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}
