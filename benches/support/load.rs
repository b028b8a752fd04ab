//! A load: many connections, each sending its next request as soon as the last was answered.
//!
//! Owns the client's side of HTTP/1.1 as far as a benchmark needs it. Runs on one thread. What is not answered with
//! 200 is counted, and a benchmark that sees one has measured something else.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a load came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many requests were answered with 200.
    pub answered: u64,
    /// How many were answered otherwise.
    pub refused: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// How long each one took, in microseconds, in order.
    pub latencies: Vec<u32>,
}

impl Outcome {
    /// The latency that so many thousandths of the requests did not exceed, in microseconds.
    pub fn quantile(&self, thousandths: usize) -> f64 {
        super::figures::quantile(&self.latencies, thousandths)
    }
}

/// Sends these requests in turn, from all connections together, for so long.
pub async fn run(address: &str, requests: &[Vec<u8>], connections: usize, duration: Duration) -> Result<Outcome> {
    let until = Instant::now() + duration;
    let next = Cell::new(0_usize);
    drive(&[address], requests, connections, || {
        let number = next.replace(next.get().wrapping_add(1));
        (Instant::now() < until).then_some((0, number % requests.len().max(1)))
    })
    .await
}

/// Sends each of these requests once.
pub async fn once_each(address: &str, requests: &[Vec<u8>], connections: usize) -> Result<Outcome> {
    let next = Cell::new(0_usize);
    drive(&[address], requests, connections, || {
        let number = next.replace(next.get() + 1);
        (number < requests.len()).then_some((0, number))
    })
    .await
}

/// Sends what `next` chooses, a server and a request, until it chooses nothing. So many requests are on their way at once.
pub async fn drive(
    addresses: &[&str],
    requests: &[Vec<u8>],
    connections: usize,
    next: impl Fn() -> Option<(usize, usize)>,
) -> Result<Outcome> {
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let started = Instant::now();
    let clients = (0..connections).map(|_| async {
        let mut servers = try_join_all(addresses.iter().map(|address| Client::connect(address))).await?;
        while let Some((server, request)) = next() {
            let (Some(client), Some(request)) = (servers.get_mut(server), requests.get(request)) else { break };
            let sent = Instant::now();
            let status = client.ask(request).await?.status;
            let took = u32::try_from(sent.elapsed().as_micros())?;
            let mut outcome = outcome.borrow_mut();
            if status == 200 {
                outcome.answered += 1;
            } else {
                outcome.refused += 1;
            }
            outcome.latencies.push(took);
        }
        anyhow::Ok(())
    });
    try_join_all(clients).await?;
    let mut outcome = outcome.take();
    outcome.elapsed = started.elapsed();
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and header lines.
    pub head: String,
}

impl Answer {
    /// The `name=value` of the cookie that it sets.
    pub fn cookie(&self) -> Option<&str> {
        let is_cookie = |line: &&str| line.to_ascii_lowercase().starts_with("set-cookie:");
        let line = self.head.lines().find(is_cookie)?;
        line.split_once(':')?.1.split(';').next().map(str::trim)
    }
}

impl Client {
    /// Connects.
    pub async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(4_096) })
    }

    /// Sends a request and reads the whole answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        tokio::time::timeout(PATIENCE, self.exchange(request)).await.context("no answer in time")?
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(answer) = whole(&self.read)? {
                return Ok(answer);
            }
        }
    }
}

/// The answer, once all of it is there.
fn whole(read: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let (head, body) = read.split_at(end + 4);
    let head = std::str::from_utf8(head)?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    if body.len() < length.unwrap_or(0) {
        return Ok(None);
    }
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Some(Answer { status, head: head.to_owned() }))
}
