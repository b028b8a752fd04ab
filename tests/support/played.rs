//! A server that is not sessiond: it answers with the very bytes that a test has chosen, and then closes, is silent, or goes
//! on for ever.
//!
//! Owns one listening port, which ends with the test's runtime. Must never answer before it has the whole request.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What follows the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The end of the connection.
    Close,
    /// Nothing.
    Hang,
    /// A space now and then.
    Drip,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What follows.
    pub then: Then,
}

/// Starts one, which answers a path that begins with `/n` with the answer number n, and every other with `otherwise`; tells
/// its address.
pub async fn play(answers: impl FnOnce(&str) -> Vec<Answer>, otherwise: Answer) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answers = answers(&url);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, answers.clone(), otherwise.clone()));
        }
    });
    url
}

async fn answer(mut stream: TcpStream, answers: Vec<Answer>, otherwise: Answer) -> Option<()> {
    let mut request = Vec::new();
    let path = loop {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        if let Some(path) = whole(&String::from_utf8_lossy(&request)) {
            break path;
        }
    };
    let number = path.split('/').nth(1).and_then(|part| part.parse::<usize>().ok());
    let chosen = number.and_then(|number| answers.get(number)).unwrap_or(&otherwise);
    stream.write_all(&chosen.bytes).await.ok()?;
    while chosen.then != Then::Close {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if chosen.then == Then::Drip {
            stream.write_all(b" ").await.ok()?;
        }
    }
    stream.shutdown().await.ok()
}

/// The path of a request that has come to its end.
fn whole(request: &str) -> Option<String> {
    let (head, body) = request.split_once("\r\n\r\n")?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let length =
        lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).find_map(|(_, it)| it.parse().ok());
    (body.len() >= length.unwrap_or(0)).then(|| head.split(' ').nth(1).unwrap_or_default().to_owned())
}
