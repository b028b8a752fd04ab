//! The site: stores, people, and the nodes that serve them.
//!
//! Owns them all; the last node reaches its Redis through a proxy. Must never hand the same victim out twice.

use anyhow::{Context, Result};

use super::round::{Asking, Round, round};
use crate::support::copies;
use crate::support::place::Place;
use crate::support::population::{Person, Population, cookie, request};
use crate::support::proxy::Proxy;
use crate::support::redis::Redis;
use crate::support::server::{Server, cookie_key};

/// Sessions of one user are revoked by another session of theirs.
const PER_USER: usize = 50;
/// Room for every session.
const ENTRIES: (&str, &str) = ("SESSIOND_NEAR_CACHE", "100000");
/// Long enough that no last-seen time has to be written while revocations are measured.
const RESOLUTION: (&str, &str) = ("SESSIOND_LAST_SEEN_RESOLUTION", "20m");

/// Stores, people and nodes.
pub struct Site {
    /// Before the stores: they end first.
    nodes: Vec<Server>,
    near_cache: bool,
    /// The way of the last node to its Redis.
    pub way: Proxy,
    /// The Redis of all.
    pub redis: Redis,
    /// The ledger of all.
    pub place: Place,
    keepers: Vec<Person>,
    victims: std::vec::IntoIter<Person>,
}

/// A session that is going to be revoked: the question about it, and the revocation by another session.
pub struct Victim {
    /// The question.
    pub check: Vec<u8>,
    /// The revocation.
    pub end: Vec<u8>,
}

impl Site {
    /// Stores and people, so many of whom can be revoked; no node yet.
    pub async fn of(victims: usize) -> Result<Self> {
        let (redis, place) = (Redis::start()?, Place::find()?);
        let mut population = Population::create_at(&place).await?;
        let owners = population.users(victims.div_ceil(PER_USER))?;
        let keepers = population.sessions(&owners, owners.len())?;
        let mut victims = population.sessions(&owners, victims)?;
        // One user after another.
        victims.sort_by_key(|victim| victim.user);
        let way = Proxy::start(redis.url())?;
        Ok(Self { nodes: Vec::new(), near_cache: false, way, redis, place, keepers, victims: victims.into_iter() })
    }

    /// Ends the nodes and starts so many others.
    pub fn serve(&mut self, count: usize, near_cache: bool) -> Result<()> {
        self.nodes.clear();
        self.near_cache = near_cache;
        for number in 0..count {
            let redis = if number + 1 == count { self.way.url() } else { self.redis.url().to_owned() };
            self.nodes.push(self.start(&redis)?);
        }
        Ok(())
    }

    fn start(&self, redis: &str) -> Result<Server> {
        let settings: &[_] = if self.near_cache { &[RESOLUTION, ENTRIES] } else { &[RESOLUTION] };
        Server::start_at(&self.place.url(), redis, settings)
    }

    /// Starts another node in place of this one.
    pub fn replace(&mut self, number: usize) -> Result<()> {
        let other = self.start(self.redis.url())?;
        *self.nodes.get_mut(number).context("no such node")? = other;
        Ok(())
    }

    /// All nodes.
    pub fn nodes(&self) -> Vec<&Server> {
        self.nodes.iter().collect()
    }

    /// All nodes but this one.
    pub fn others(&self, number: usize) -> Vec<&Server> {
        self.nodes.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, node)| node).collect()
    }

    /// The next victim, whom nobody has asked about yet.
    pub fn victim(&mut self) -> Result<Victim> {
        let (key, victim) = (cookie_key(), self.victims.next().context("there are not enough victims")?);
        let keeper = self.keepers.iter().find(|keeper| keeper.user == victim.user).context("no other session")?;
        let check = request("GET", "/auth/forward", &cookie(&key, &victim.token)?);
        let end = request("DELETE", &format!("/sessions/{}", victim.session), &cookie(&key, &keeper.token)?);
        Ok(Victim { check, end })
    }

    /// The next victim, whom all nodes, or all but one, answer from copies; without a near cache, from Redis.
    pub async fn warmed(&mut self, without: Option<usize>) -> Result<Victim> {
        let victim = self.victim()?;
        let nodes = self.nodes.iter().enumerate().filter(|(number, _)| Some(*number) != without);
        let addresses: Vec<_> = nodes.map(|(_, node)| node.address.as_str()).collect();
        if self.near_cache {
            copies::warm(&mut self.redis, &addresses, &victim.check).await?;
        }
        Ok(victim)
    }

    /// So many rounds while everything is well; each node in turn revokes.
    pub async fn rounds(&mut self, rounds: usize, asking: Asking) -> Result<Vec<Round>> {
        let mut seen = Vec::with_capacity(rounds);
        for number in 0..rounds {
            let victim = self.warmed(None).await?;
            let at = self.nodes.get(number % self.nodes.len().max(1)).context("no node")?;
            seen.push(round(&self.nodes(), at, &victim, asking).await?);
        }
        Ok(seen)
    }
}
