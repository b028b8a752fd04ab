//! `/me` of people who are signed in, while two thousand sign-ins with wrong passwords come at once and go on coming.
//!
//! The server has one core for its requests and its hashes. Three rounds: nobody else; clients that come back when they
//! are told to; clients that come back at once. Prints how long `/me` took in each, and how the sign-ins were answered.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use tempfile::TempDir;

use crate::option;
use crate::support::cpu;
use crate::support::figures::{print_table, quantile};
use crate::support::load::{Answer, Client};
use crate::support::population::{Person, Population, cookie, request};
use crate::support::server::{Server, cookie_key};
use crate::support::sign_ins::{BEHIND_A_PROXY, sign_in, some_address};

const SIGN_INS: usize = 2_000;
/// Clients that do not wait: each is as much load as the server can answer.
const IMPATIENT: usize = 32;
const PEOPLE: usize = 100;
/// Connections that ask `/me`, and how long each of them pauses after an answer.
const ASKERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(10);
const DURATION: Duration = Duration::from_secs(20);

/// What came of one round.
#[derive(Default)]
struct Round {
    /// How long each `/me` took, in microseconds, in order.
    me: Vec<u32>,
    /// How often the sign-ins had which answer, and the slowest one, in milliseconds.
    statuses: BTreeMap<u16, usize>,
    slowest: u128,
}

/// Runs it; `--seconds` says how long each round takes.
pub async fn run() -> Result<()> {
    let duration = option("--seconds", DURATION.as_secs()).map(Duration::from_secs)?;
    let folder = TempDir::new()?;
    let database = folder.path().join("ledger.db");
    let mut population = Population::create(&database).await?;
    let users = population.users(PEOPLE)?;
    let people = population.sessions(&users, PEOPLE)?;
    drop(population);
    let server = Server::start_with(cpu::SERVER, &database, None, &BEHIND_A_PROXY)?;
    round(&server, &people, 0, false, Duration::from_secs(2)).await?;
    let before = cpu::resident(server.pid())?;
    let idle = round(&server, &people, 0, false, duration).await?;
    let patient = round(&server, &people, SIGN_INS, true, duration).await?;
    let after = cpu::resident(server.pid())?;
    let impatient = round(&server, &people, IMPATIENT, false, duration).await?;
    let p99 = quantile(&idle.me, 990);
    let rows = [
        ("nobody signs in".to_owned(), &idle),
        (format!("{SIGN_INS} sign-ins, coming back when told"), &patient),
        (format!("{IMPATIENT} clients, coming back at once"), &impatient),
    ];
    let rows = rows.map(|(name, round)| {
        let [median, high] = [500, 990].map(|thousandths| quantile(&round.me, thousandths));
        let answers: Vec<_> = round.statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        let figures = [format!("{median:.0}"), format!("{high:.0}"), format!("{:.2}", high / p99)];
        let rest = [answers.join(", "), format!("{} ms", round.slowest)];
        [name].into_iter().chain(figures).chain(rest).collect()
    });
    print_table(&["", "/me p50, µs", "p99, µs", "to idle", "sign-ins answered", "slowest"], &rows);
    println!("resident: {:.1} MB before, {:.1} MB after", megabytes(before), megabytes(after));
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    crate::support::figures::number(bytes) / 1e6
}

async fn round(
    server: &Server,
    people: &[Person],
    sign_ins: usize,
    patient: bool,
    duration: Duration,
) -> Result<Round> {
    let until = Instant::now() + duration;
    let (round, next) = (RefCell::new(Round::default()), Cell::new(0));
    let key = cookie_key();
    let questions: Vec<_> =
        people.iter().map(|person| Ok(request("GET", "/me", &cookie(&key, &person.token)?))).collect::<Result<_>>()?;
    let askers = (0..ASKERS).map(|_| async {
        let mut client = Client::connect(&server.address).await?;
        while Instant::now() < until {
            let number = next.replace(next.get() + 1) % questions.len().max(1);
            let Some(question) = questions.get(number) else { break };
            let asked = Instant::now();
            let status = client.ask(question).await?.status;
            round.borrow_mut().me.push(u32::try_from(asked.elapsed().as_micros())?);
            ensure!(status == 200, "/me was answered with {status}");
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::Ok(())
    });
    let flood = (0..sign_ins).map(|number| attack(&server.address, number, patient, until, &round));
    tokio::try_join!(try_join_all(askers), try_join_all(flood))?;
    let mut round = round.take();
    round.me.sort_unstable();
    Ok(round)
}

/// One client that signs in again and again, each time from another address.
async fn attack(address: &str, number: usize, patient: bool, until: Instant, round: &RefCell<Round>) -> Result<()> {
    let mut client = Client::connect(address).await?;
    while Instant::now() < until {
        let asked = Instant::now();
        let question = sign_in(&format!("nobody-{number}@example.org"), "wrong, all of it", some_address());
        let answer = client.ask(&question).await?;
        {
            let mut round = round.borrow_mut();
            *round.statuses.entry(answer.status).or_default() += 1;
            round.slowest = round.slowest.max(asked.elapsed().as_millis());
        }
        if patient {
            let left = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(retry_after(&answer).min(left)).await;
        }
    }
    Ok(())
}

fn retry_after(answer: &Answer) -> Duration {
    let line = answer
        .head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("retry-after:")?.trim().parse().ok());
    Duration::from_secs(line.unwrap_or(0))
}
