//! How long a revocation takes, and whether anybody is let through after it.
//!
//! Two nodes over one ledger and one Redis. In each round a session is revoked at one node, while both are asked about
//! it all the time; after the 2xx every further question must be refused, by either node. Prints how long the 2xx
//! took, how long after it the last 200 came that had been asked for before it, and how many were let through that
//! were asked for after it: violations of P1, which end the benchmark with an error.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::option;
use crate::support::cpu;
use crate::support::figures::{print_table, quantile};
use crate::support::load::Client;
use crate::support::population::{Person, Population, cookie, request};
use crate::support::redis::Redis;
use crate::support::server::{Server, cookie_key};

const ROUNDS: usize = 1_000;
/// Connections that ask each node about the session.
const ASKERS: usize = 2;
/// How long they go on after the 2xx.
const AFTER: Duration = Duration::from_millis(3);
/// Sessions of one user are revoked by another session of theirs.
const PER_USER: usize = 50;

/// What was seen in one round.
struct Round {
    answered_us: u32,
    last_yes_us: u32,
    violations: usize,
    asked_after: usize,
}

/// Runs it; `--rounds` says how often.
pub async fn run() -> Result<()> {
    let rounds = option("--rounds", ROUNDS)?;
    let (redis, folder) = (Redis::start()?, TempDir::new()?);
    let database = folder.path().join("ledger.db");
    let mut population = Population::create(&database).await?;
    let owners = population.users(rounds.div_ceil(PER_USER))?;
    let keepers = population.sessions(&owners, owners.len())?;
    let victims = population.sessions(&owners, rounds)?;
    drop(population);
    let nodes = [
        Server::start_on(cpu::SERVER, &database, Some(redis.url()))?,
        Server::start_on(cpu::SERVER, &database, Some(redis.url()))?,
    ];
    let mut seen = Vec::with_capacity(rounds);
    for (number, victim) in victims.iter().enumerate() {
        let Some(keeper) = keepers.iter().find(|keeper| keeper.user == victim.user) else { continue };
        let [first, second] = &nodes;
        let at = if number.is_multiple_of(2) { first } else { second };
        seen.push(round(&nodes, at, keeper, victim).await?);
    }
    report(&seen)
}

async fn round(nodes: &[Server; 2], at: &Server, keeper: &Person, victim: &Person) -> Result<Round> {
    let key = cookie_key();
    let ask = request("GET", "/auth/forward", &cookie(&key, &victim.token)?);
    let revoke = request("DELETE", &format!("/sessions/{}", victim.session), &cookie(&key, &keeper.token)?);
    let (over, until) = watch::channel(None::<Instant>);
    let askers = nodes.iter().flat_map(|node| std::iter::repeat_n(node, ASKERS));
    let askers = try_join_all(askers.map(|node| ask_until_over(&node.address, &ask, until.clone())));
    let revocation = async {
        let mut client = Client::connect(&at.address).await?;
        tokio::time::sleep(AFTER).await;
        let started = Instant::now();
        let status = client.ask(&revoke).await?.status;
        let ended = Instant::now();
        over.send_replace(Some(ended));
        ensure!(status == 204, "a revocation was answered with {status}");
        Ok((started, ended))
    };
    let (answers, (started, ended)) = tokio::try_join!(askers, revocation)?;
    let answers: Vec<_> = answers.into_iter().flatten().collect();
    let yes = || answers.iter().filter(|(_, _, status)| *status == 200);
    let last_yes = yes().map(|(_, answered, _)| answered.saturating_duration_since(ended)).max();
    Ok(Round {
        answered_us: u32::try_from((ended - started).as_micros())?,
        last_yes_us: u32::try_from(last_yes.unwrap_or_default().as_micros())?,
        violations: yes().filter(|(asked, ..)| *asked > ended).count(),
        asked_after: answers.iter().filter(|(asked, ..)| *asked > ended).count(),
    })
}

/// When each question was asked and answered, and with what.
async fn ask_until_over(
    address: &str,
    question: &[u8],
    over: watch::Receiver<Option<Instant>>,
) -> Result<Vec<(Instant, Instant, u16)>> {
    let (mut client, mut answers) = (Client::connect(address).await?, Vec::new());
    loop {
        let ended = *over.borrow();
        if ended.is_some_and(|ended| ended.elapsed() >= AFTER) {
            return Ok(answers);
        }
        let asked = Instant::now();
        let status = client.ask(question).await?.status;
        answers.push((asked, Instant::now(), status));
    }
}

fn report(rounds: &[Round]) -> Result<()> {
    let row = |name: &str, figure: fn(&Round) -> u32| {
        let mut figures: Vec<u32> = rounds.iter().map(figure).collect();
        figures.sort_unstable();
        let cells = [500, 990, 1_000].map(|thousandths| format!("{:.0}", quantile(&figures, thousandths)));
        [name.to_owned()].into_iter().chain(cells).collect()
    };
    let rows = [
        row("revocation answered 2xx after, µs", |round| round.answered_us),
        row("last 200 to a question from before the 2xx, µs after it", |round| round.last_yes_us),
    ];
    print_table(&["", "p50", "p99", "max"], &rows);
    let violations: usize = rounds.iter().map(|round| round.violations).sum();
    let asked: usize = rounds.iter().map(|round| round.asked_after).sum();
    println!("{} rounds, two nodes: {violations} of {asked} questions after the 2xx were let through", rounds.len());
    ensure!(violations == 0, "P1 does not hold");
    Ok(())
}
