//! Nodes that share the load, with or without copies.
//!
//! Owns their load, which is the same for all contenders, and what it cost: nodes and Redis, and nothing else.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::report::Figures;
use super::{CONNECTIONS, Site};
use crate::support::figures::number;
use crate::support::server::Server;
use crate::support::zipf::Zipf;
use crate::support::{copies, cpu, load};

/// Checks before anything else, so that the hit rate of a cache that begins empty can be seen.
pub const COLD: usize = 200_000;
/// Twenty renewals of a lease.
const REST: Duration = Duration::from_secs(10);

/// Some nodes that are asked together.
pub struct Contender {
    name: String,
    nodes: Vec<Server>,
    entries: Option<usize>,
    load: Zipf,
}

impl Contender {
    /// Starts so many nodes, with room for so many copies each.
    pub fn start(site: &Site, count: usize, entries: Option<usize>, resolution: &str) -> Result<Self> {
        let room = entries.unwrap_or(0).to_string();
        let settings = [("SESSIOND_NEAR_CACHE", room.as_str()), ("SESSIOND_LAST_SEEN_RESOLUTION", resolution)];
        let start = |_| Server::start_at(&site.place.url(), site.redis.url(), &settings);
        let copies = entries.map_or_else(|| "no copies".to_owned(), |entries| format!("{entries} entries"));
        let nodes = if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
        Ok(Self {
            name: format!("{nodes}, {copies}, last-seen {resolution}"),
            nodes: (0..count).map(start).collect::<Result<_>>()?,
            entries,
            load: Zipf::new(site.questions.len()),
        })
    }

    /// What a report calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the nodes listen.
    pub fn addresses(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.address.as_str()).collect()
    }

    /// Resident memory of all nodes, in bytes.
    pub fn resident(&self) -> Result<u64> {
        self.nodes.iter().map(|node| cpu::resident(node.pid())).sum()
    }

    /// Which part of one core all nodes use while nobody asks them.
    pub async fn idle(&self) -> Result<f64> {
        let used = || self.nodes.iter().map(|node| cpu::used(node.pid())).sum::<Result<Duration>>();
        let (before, began) = (used()?, Instant::now());
        tokio::time::sleep(REST).await;
        Ok((used()? - before).as_secs_f64() / began.elapsed().as_secs_f64())
    }

    /// Waits until the nodes keep copies, if they are to.
    pub async fn await_copies(&self, site: &mut Site) -> Result<()> {
        let question = site.questions.first().context("there is no session")?;
        match self.entries {
            Some(_) => copies::warm(&mut site.redis, &self.addresses(), question).await,
            None => Ok(()),
        }
    }

    /// Asks about every session once, each node.
    pub async fn ask_each(&self, site: &mut Site) -> Result<Figures> {
        let (next, sessions) = (Cell::new(0), site.questions.len());
        let nodes = self.nodes.len();
        let choose = || {
            let number = next.replace(next.get() + 1);
            (number < sessions * nodes).then_some((number % nodes.max(1), number / nodes.max(1)))
        };
        self.ask(site, choose).await
    }

    /// From the first check on, until there is in memory what will stay there. Tells what the first checks cost.
    pub async fn warm_up(&self, site: &mut Site) -> Result<Figures> {
        self.await_copies(site).await?;
        let cold = self.ask_so_often(site, COLD).await?;
        if let Some(entries) = self.entries {
            let room_for_all = entries >= site.questions.len();
            let _warm = if room_for_all { self.ask_each(site).await? } else { self.ask_so_often(site, COLD).await? };
        }
        Ok(cold)
    }

    async fn ask_so_often(&self, site: &mut Site, count: usize) -> Result<Figures> {
        let left = Cell::new(count);
        let choose = || {
            left.set(left.get().checked_sub(1)?);
            Some(self.choose())
        };
        self.ask(site, choose).await
    }

    /// The load, for so long.
    pub async fn ask_for(&self, site: &mut Site, duration: Duration) -> Result<Figures> {
        let until = Instant::now() + duration;
        self.ask(site, || (Instant::now() < until).then(|| self.choose())).await
    }

    fn choose(&self) -> (usize, usize) {
        (self.load.one_of(self.nodes.len()), self.load.rank())
    }

    async fn ask(&self, site: &mut Site, choose: impl Fn() -> Option<(usize, usize)>) -> Result<Figures> {
        let before = self.used(site)?;
        let outcome = load::drive(&self.addresses(), &site.questions, CONNECTIONS, choose).await?;
        let after = self.used(site)?;
        ensure!(outcome.refused == 0, "{} refused {} checks", self.name, outcome.refused);
        let answered = number(outcome.answered);
        let each = |duration: Duration| duration.as_secs_f64() * 1e6 / answered;
        Ok(Figures {
            per_second: answered / outcome.elapsed.as_secs_f64(),
            // A new connection reads, too, before it serves.
            hit_rate: (1.0 - number(after.reads - before.reads) / answered).max(0.0),
            commands: number(after.commands - before.commands) / answered,
            nodes_us: each(after.nodes - before.nodes),
            redis_us: each(after.redis - before.redis),
        })
    }

    fn used(&self, site: &mut Site) -> Result<Used> {
        Ok(Used {
            nodes: self.nodes.iter().map(|node| cpu::used(node.pid())).sum::<Result<_>>()?,
            redis: cpu::used(site.redis.pid())?,
            reads: site.redis.calls("getex")?,
            commands: site.redis.commands()?,
        })
    }
}

/// What was used so far.
struct Used {
    nodes: Duration,
    redis: Duration,
    reads: u64,
    commands: u64,
}
