//! A small application of the tests' own, on a port of its own: what stands behind a gateway, or on another site.
//!
//! Owns its pages, which say what they were asked with. Must never know a session.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Whatever the address: a link to what stands in the query of `/link`, and what the request was.
const PAGE: &str = r#"<!doctype html><html lang="en"><title>An application</title><link rel="icon" href="data:,">
<p id="asked">ASKED</p><p id="user">USER</p><a id="link" href="/">A link</a>
<script>if (location.pathname === '/link') document.querySelector('#link').href = decodeURIComponent(location.search.slice(1));</script>"#;

/// Bytes of an answer that a browser keeps.
const KEPT: usize = 16_384;

/// A running application. It ends with the test's runtime.
pub struct Application {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Application {
    /// Starts one.
    pub async fn start() -> Self {
        Self::at(0).await.expect("a free port")
    }

    /// Starts one on this port; none if it is taken.
    pub async fn at(port: u16) -> Option<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.ok()?;
        let port = listener.local_addr().expect("an address").port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&log)));
            }
        });
        Some(Self { port, asked })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A page of it at this host that has a link to that address.
    pub fn page_with_link(&self, host: &str, to: &str) -> String {
        let encoded: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        format!("http://{host}:{}/link?{}", self.port, encoded.replace('+', "%20"))
    }

    /// The addresses that were asked for so far, those that begin like this.
    pub fn asked(&self, beginning: &str) -> Vec<String> {
        let asked = self.asked.lock();
        asked.iter().filter(|uri| uri.starts_with(beginning)).cloned().collect()
    }
}

async fn answer(mut stream: TcpStream, log: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            // A connection that the browser has opened to have one.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let uri = request.split(' ').nth(1).unwrap_or_default();
    let header = |name: &str| {
        let mut lines = request.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).unwrap_or_default()
    };
    log.lock().push(uri.to_owned());
    let page = PAGE
        .replace("ASKED", &uri.replace('&', "&amp;").replace('<', "&lt;"))
        .replace("USER", header("x-session-user"));
    // What browsers keep, so that there is something for them to delete.
    let kept = uri.starts_with("/kept/");
    let page = if kept { "x".repeat(KEPT) } else { page };
    let control = if kept { "max-age=3600" } else { "no-store" };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n";
    let answer = format!("{head}Cache-Control: {control}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    let _ = stream.write_all(answer.as_bytes()).await;
}
