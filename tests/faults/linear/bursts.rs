//! Bursts: many checks over one connection, as a busy gateway sends them.
//!
//! Owns the bytes of such a burst: all questions in one write, and the answers one after the other. What is left without
//! an answer is told as such. Must never judge.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer to one question: its status, its headers and whatever followed them.
pub struct Told {
    pub status: u16,
    head: String,
    /// When it had arrived.
    pub at: Duration,
}

impl Told {
    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// Asks a node about these cookies, each a `name=value`; the answers that came, in order.
pub async fn ask(node: &str, cookies: &[String], patience: Duration, now: impl Fn() -> Duration) -> Vec<Told> {
    let mut told = Vec::new();
    let address = node.trim_start_matches("http://");
    let asking = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let question =
            |cookie: &String| format!("GET /auth/forward HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
        stream.write_all(cookies.iter().map(question).collect::<String>().as_bytes()).await.ok()?;
        let mut waiting = Vec::new();
        while told.len() < cookies.len() {
            while let Some((status, head, length)) = first(&waiting) {
                waiting.drain(..length);
                told.push(Told { status, head, at: now() });
            }
            if told.len() < cookies.len() && stream.read_buf(&mut waiting).await.ok()? == 0 {
                return None;
            }
        }
        Some(())
    };
    // What broke off, or came too late, is left without an answer.
    let _ = timeout(patience, asking).await;
    told
}

/// The first whole answer: its status, its head, and its length with the body.
fn first(bytes: &[u8]) -> Option<(u16, String, usize)> {
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let body: usize = text.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    (bytes.len() >= head + 4 + body).then_some((status, text, head + 4 + body))
}
