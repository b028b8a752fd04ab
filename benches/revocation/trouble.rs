//! Trouble: one of the nodes with copies stops, dies, or does not reach Redis any more.
//!
//! Owns how it begins and ends. Each time, a session that every node answers from a copy is revoked right after the
//! trouble began, and others from four seconds after it on. Must never trust that the node which was in trouble says no
//! later: it is asked again when the trouble is over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::round::{Asking, Round, ask_again, round};
use super::site::Site;
use crate::support::load::Client;
use crate::support::server::Server;

/// By then nobody waits for the node any more.
const LATER: Duration = Duration::from_secs(4);

/// What happens to the node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It stops, and goes on later.
    Paused,
    /// No byte passes between it and Redis.
    CutOff,
    /// It is gone; another one is started in its place.
    Killed,
}

/// The rounds right after the trouble began, and those after four seconds.
#[derive(Default)]
pub struct InTrouble {
    /// One for each time.
    pub first: Vec<Round>,
    /// The others.
    pub later: Vec<Round>,
}

impl Trouble {
    /// What a report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paused => "one paused",
            Self::CutOff => "one cut off from Redis",
            Self::Killed => "one killed",
        }
    }

    /// Has it happen so often, with so many rounds later each time.
    pub async fn measure(self, site: &mut Site, times: usize, later: usize) -> Result<InTrouble> {
        let (mut seen, nodes) = (InTrouble::default(), site.nodes().len());
        for time in 0..times {
            // Only the last one's way to Redis can be cut.
            let sick = if self == Self::CutOff { nodes.saturating_sub(1) } else { time % nodes.max(1) };
            seen.first.push(self.once(site, sick, later, &mut seen.later).await?);
            // Nobody needs another node after the last time.
            if self == Self::Killed && time + 1 < times {
                site.replace(sick)?;
            }
        }
        Ok(seen)
    }

    async fn once(self, site: &mut Site, sick: usize, rounds: usize, later: &mut Vec<Round>) -> Result<Round> {
        let victim = site.warmed(None).await?;
        self.begin(site, sick)?;
        let began = Instant::now();
        let mut first = round(&self.asked(site, sick), any(site, sick, sick)?, &victim, Asking::CALM).await?;
        // To a node that does not run now: it finds the question when it goes on.
        let waiting = (self == Self::Paused).then(|| {
            let address = node(site, sick).map(|node| node.address.clone());
            let question = victim.check.clone();
            tokio::spawn(async move { Client::connect(&address?).await?.ask(&question).await })
        });
        tokio::time::sleep(LATER.saturating_sub(began.elapsed())).await;
        for number in 0..rounds {
            let victim = site.warmed(Some(sick)).await?;
            later.push(round(&self.asked(site, sick), any(site, sick, number)?, &victim, Asking::CALM).await?);
        }
        self.end(site, sick)?;
        if let Some(waiting) = waiting {
            first.count(waiting.await??.status);
        }
        if self != Self::Killed {
            ask_again(&site.nodes(), &victim, &mut first).await?;
        }
        Ok(first)
    }

    fn begin(self, site: &Site, sick: usize) -> Result<()> {
        match self {
            Self::Paused => node(site, sick)?.signal(Signal::STOP),
            Self::CutOff => {
                site.way.stop();
                Ok(())
            }
            Self::Killed => node(site, sick)?.signal(Signal::KILL),
        }
    }

    fn end(self, site: &Site, sick: usize) -> Result<()> {
        match self {
            Self::Paused => node(site, sick)?.signal(Signal::CONT),
            Self::CutOff => {
                site.way.go_on();
                Ok(())
            }
            Self::Killed => Ok(()),
        }
    }

    /// Who can answer.
    fn asked(self, site: &Site, sick: usize) -> Vec<&Server> {
        if self == Self::CutOff { site.nodes() } else { site.others(sick) }
    }
}

fn node(site: &Site, number: usize) -> Result<&Server> {
    site.nodes().get(number).copied().context("no such node")
}

/// One of the nodes that are well.
fn any(site: &Site, sick: usize, number: usize) -> Result<&Server> {
    let others = site.others(sick);
    others.get(number % others.len().max(1)).copied().context("no other node")
}
