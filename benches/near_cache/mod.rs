//! What copies in a node's memory save, and what they take.
//!
//! A hundred thousand sessions are asked about as often as real ones are: the first one much more often than the last
//! (Zipf, exponent 1). On one node with room for all of them, for a tenth, and without copies, in turns; then on eight
//! nodes, each request to any of them. Prints the hit rate (checks that asked Redis nothing), commands of Redis and
//! processor time for each check, and the memory of a copy. Takes some seven minutes.

mod contender;
mod memory;
mod report;

use std::time::Duration;

use anyhow::{Context, Result};
use contender::Contender;
use report::Report;

use crate::option;
use crate::support::load;
use crate::support::place::Place;
use crate::support::population::{Population, cookie, request};
use crate::support::redis::Redis;
use crate::support::server::cookie_key;

const SESSIONS: usize = 100_000;
const SESSIONS_PER_USER: usize = 10;
const ROUNDS: usize = 3;
const SECONDS: u64 = 3;
const CONNECTIONS: usize = 32;
const NODES: usize = 8;
/// Long enough that no last-seen time has to be written meanwhile, and what a node does unless it is told otherwise.
const LONG: &str = "20m";
const USUAL: &str = "10s";

/// Stores, and the question about each session.
pub struct Site {
    redis: Redis,
    place: Place,
    questions: Vec<Vec<u8>>,
}

/// How long to measure.
#[derive(Clone, Copy)]
struct Measure {
    rounds: usize,
    duration: Duration,
}

/// Runs it; `--sessions` says how many there are, `--rounds` and `--seconds` how long to measure.
pub async fn run() -> Result<()> {
    let measure =
        Measure { rounds: option("--rounds", ROUNDS)?, duration: Duration::from_secs(option("--seconds", SECONDS)?) };
    let mut site = Site::of(option("--sessions", SESSIONS)?).await?;
    let (all, tenth) = (site.questions.len(), site.questions.len() / 10);
    memory::report(&mut site).await?;
    println!();
    let entries = [None, Some(all), Some(tenth)];
    let one = |resolution| entries.map(|entries| (entries, resolution));
    for group in [one(LONG), one(USUAL)] {
        let mut contenders = Vec::new();
        for (entries, resolution) in group {
            contenders.push(Contender::start(&site, 1, entries, resolution)?);
        }
        in_turns(&mut site, &contenders, measure).await?.print();
        println!();
    }
    let mut report = Report::default();
    for (entries, resolution) in one(LONG).into_iter().chain([(Some(all), USUAL)]) {
        let contender = Contender::start(&site, NODES, entries, resolution)?;
        report.append(in_turns(&mut site, &[contender], measure).await?);
    }
    report.print();
    Ok(())
}

impl Site {
    /// So many sessions, each with its record.
    async fn of(sessions: usize) -> Result<Self> {
        let (redis, place) = (Redis::start()?, Place::find()?);
        let mut population = Population::create_at(&place).await?;
        let users = population.users(sessions.div_ceil(SESSIONS_PER_USER))?;
        let people = population.sessions(&users, sessions)?;
        drop(population);
        let key = cookie_key();
        let questions = people.iter().map(|person| Ok(request("GET", "/auth/forward", &cookie(&key, &person.token)?)));
        let site = Self { redis, place, questions: questions.collect::<Result<_>>()? };
        let filling = Contender::start(&site, 1, None, LONG)?;
        let address = filling.addresses().first().copied().context("no node")?.to_owned();
        let filled = load::once_each(&address, &site.questions, CONNECTIONS).await?;
        anyhow::ensure!(filled.refused == 0, "{} checks were refused", filled.refused);
        Ok(site)
    }
}

/// Warms each up, then measures them in turns.
async fn in_turns(site: &mut Site, contenders: &[Contender], measure: Measure) -> Result<Report> {
    let mut report = Report::default();
    for contender in contenders {
        let cold = contender.warm_up(site).await?;
        report.add(contender.name(), cold);
    }
    for _ in 0..measure.rounds {
        for contender in contenders {
            report.add_round(contender.name(), contender.ask_for(site, measure.duration).await?);
        }
    }
    Ok(report)
}
