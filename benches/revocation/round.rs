//! One round: a session is revoked at one node, while nodes are asked about it.
//!
//! Owns the questions and their moments. A question counts as asked after the 2xx only if it was sent after the whole
//! answer was read here. Must never end before each asker has sent one.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use tokio::sync::watch;

use super::site::Victim;
use crate::support::load::Client;
use crate::support::server::Server;

/// How long the nodes are asked before the revocation and after its answer.
pub const AFTER: Duration = Duration::from_millis(3);

/// How the nodes are asked.
#[derive(Clone, Copy)]
pub struct Asking {
    /// Connections to each node.
    connections: usize,
    /// The pause between an answer and the next question; after the 2xx there is none.
    pause: Duration,
}

impl Asking {
    /// As much as a node can answer.
    pub const CONSTANT: Self = Self { connections: 2, pause: Duration::ZERO };
    /// So that the nodes have time for the revocation.
    pub const CALM: Self = Self { connections: 1, pause: Duration::from_millis(1) };
}

/// What was seen in one round.
pub struct Round {
    /// How long the revocation took.
    pub answered_us: u32,
    /// How long after the 2xx the last 200 came.
    pub last_yes_us: u32,
    /// Questions after the 2xx.
    pub asked_after: usize,
    /// Those of them that were answered with 200.
    pub violations: usize,
}

/// A question: when it was sent, when it was answered, and with what.
type Asked = (Instant, Instant, u16);

/// Revokes a session at one node and asks these about it.
pub async fn round(asked: &[&Server], at: &Server, victim: &Victim, asking: Asking) -> Result<Round> {
    let (over, until) = watch::channel(None::<Instant>);
    let askers = asked.iter().flat_map(|node| std::iter::repeat_n(node, asking.connections));
    let askers = askers.map(|node| ask_until_over(&node.address, &victim.check, until.clone(), asking.pause));
    let askers = try_join_all(askers);
    let revocation = async {
        let mut client = Client::connect(&at.address).await?;
        tokio::time::sleep(AFTER).await;
        let started = Instant::now();
        let status = client.ask(&victim.end).await?.status;
        let ended = Instant::now();
        over.send_replace(Some(ended));
        ensure!(status == 204, "a revocation was answered with {status} after {:?}", ended - started);
        Ok((started, ended))
    };
    let (answers, (started, ended)) = tokio::try_join!(askers, revocation)?;
    let answers: Vec<Asked> = answers.into_iter().flatten().collect();
    let yes = || answers.iter().filter(|(_, _, status)| *status == 200);
    let last_yes = yes().map(|(_, answered, _)| answered.saturating_duration_since(ended)).max();
    Ok(Round {
        answered_us: u32::try_from((ended - started).as_micros())?,
        last_yes_us: u32::try_from(last_yes.unwrap_or_default().as_micros())?,
        asked_after: answers.iter().filter(|(sent, ..)| *sent > ended).count(),
        violations: yes().filter(|(sent, ..)| *sent > ended).count(),
    })
}

async fn ask_until_over(
    address: &str,
    question: &[u8],
    mut over: watch::Receiver<Option<Instant>>,
    pause: Duration,
) -> Result<Vec<Asked>> {
    let (mut client, mut answers) = (Client::connect(address).await?, Vec::<Asked>::new());
    loop {
        let ended = *over.borrow();
        let has_asked = |ended| answers.last().is_some_and(|(sent, ..)| *sent > ended);
        if ended.is_some_and(|ended| ended.elapsed() >= AFTER && has_asked(ended)) {
            return Ok(answers);
        }
        let sent = Instant::now();
        let status = client.ask(question).await?.status;
        answers.push((sent, Instant::now(), status));
        if !pause.is_zero() && ended.is_none() {
            // The end, or the sender's: then this future is dropped.
            drop(tokio::time::timeout(pause, over.changed()).await);
        }
    }
}

/// Asks these nodes about a session that is over, for a while.
pub async fn ask_again(asked: &[&Server], victim: &Victim, round: &mut Round) -> Result<()> {
    let (_over, until) = watch::channel(Some(Instant::now()));
    let askers = asked.iter().map(|node| ask_until_over(&node.address, &victim.check, until.clone(), Duration::ZERO));
    for (_, _, status) in try_join_all(askers).await?.into_iter().flatten() {
        round.count(status);
    }
    Ok(())
}

impl Round {
    /// Counts the answer to a question that was sent after the 2xx.
    pub fn count(&mut self, status: u16) {
        self.asked_after += 1;
        self.violations += usize::from(status == 200);
    }
}
