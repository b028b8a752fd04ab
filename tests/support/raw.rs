//! Raw bytes over TCP, for requests that no well-behaved client would send.
//!
//! Owns the writing of exactly the bytes of the test. Must never repair them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ports::random;

const PATIENCE: Duration = Duration::from_secs(10);

/// What came back, unparsed but for the status.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// The status code; none when the server closed without an answer.
    pub status: Option<u16>,
    /// The status line and the headers.
    pub head: String,
    /// What follows them.
    pub body: String,
}

/// Sends `bytes` to `host:port` (or `http://host:port`) and reads until the server closes; of a stream of events, until
/// it has begun. Ask for `Connection: close`, or use [`get_with`].
pub async fn raw(server: &str, bytes: &[u8]) -> RawResponse {
    let address = server.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("the server accepts");
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let reading = timeout(PATIENCE, async {
        while stream.read_buf(&mut answer).await.is_ok_and(|read| read > 0) && !has_begun(&answer) {}
    });
    reading.await.expect("the server closes the connection");
    RawResponse::parse(&String::from_utf8_lossy(&answer))
}

/// Whether this is a stream of events, with the first of them.
fn has_begun(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.split_once("\r\n\r\n").is_some_and(|(head, body)| head.contains("text/event-stream") && body.contains("\n\n"))
}

/// A `GET` with exactly these header lines besides `Host` and `Connection: close`.
pub async fn get_with(server: &str, path: &str, header_lines: &[&[u8]]) -> RawResponse {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").into_bytes();
    for line in header_lines {
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    raw(server, &request).await
}

/// Opens a connection, sends `bytes` or only the beginning of them, and drops it at any moment of the next few
/// milliseconds: before, in or after the answer. A client that gives up.
pub async fn abandon(server: &str, bytes: &[u8]) {
    let address = server.trim_start_matches("http://");
    // A server that is being restarted refuses; then there is nothing to abandon.
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let chance = random();
    let length = if chance.is_multiple_of(8) { bytes.len() / 2 } else { bytes.len() };
    let _ = stream.write_all(bytes.get(..length).unwrap_or(bytes)).await;
    tokio::time::sleep(Duration::from_micros((chance >> 8) % 8_000)).await;
    let _ = stream.set_zero_linger();
}

impl RawResponse {
    fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The values of a header, in order; its name in any case.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}
