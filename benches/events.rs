//! Ten thousand open pages: what each costs the server, and how soon they all know that their session is over.
//!
//! On SQLite with a Redis, as many pages as sessions, a hundred of each user. Then each user in turn signs out everywhere.
//! Prints memory and open files for each page, what the heartbeats cost, and how long after each answer the last of a
//! user's pages knew.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sessiond::domain::UserId;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::option;
use crate::support::cpu;
use crate::support::figures::{number, print_table, quantile};
use crate::support::load::Client;
use crate::support::population::{Person, Population, cookie, request};
use crate::support::redis::Redis;
use crate::support::server::{Server, cookie_key};

/// Pages, each of which ends with its user and the moment when it knew.
type Pages = JoinSet<Result<(UserId, Instant)>>;

const STREAMS: usize = 10_000;
const OF_USER: usize = 100;
/// Two heartbeats.
const REST: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it; `--streams` says how many.
pub async fn run() -> Result<()> {
    let streams = option("--streams", STREAMS)?;
    let folder = TempDir::new()?;
    let database = folder.path().join("ledger.db");
    let mut population = Population::create(&database).await?;
    let users = population.users(streams.div_ceil(OF_USER))?;
    let people = population.sessions(&users, streams)?;
    drop(population);
    let redis = Redis::start()?;
    let server = Server::start(&database, Some(redis.url()))?;
    let key = cookie_key();
    // Every session has its record before anything is measured.
    let mut client = Client::connect(&server.address).await?;
    for person in &people {
        let answer = client.ask(&request("GET", "/auth/forward", &cookie(&key, &person.token)?)).await?;
        ensure!(answer.status == 200, "/auth/forward was answered with {}", answer.status);
    }
    let before = (cpu::resident(server.pid())?, open_files(&server)?);
    let begun = Instant::now();
    let mut pages = JoinSet::new();
    for person in &people {
        let page = open(&server.address, &request("GET", "/events", &cookie(&key, &person.token)?)).await?;
        let user = person.user;
        pages.spawn(async move { told(page).await.map(|at| (user, at)) });
    }
    let opened = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = (cpu::resident(server.pid())?, open_files(&server)?);
    let busy = cpu::used(server.pid())?;
    tokio::time::sleep(REST).await;
    let resting = (cpu::used(server.pid())?.saturating_sub(busy)).as_secs_f64() / REST.as_secs_f64();

    let Ending { answered, told, late } = end_all(&mut client, &users, &people, pages).await?;
    let each = number(after.0.saturating_sub(before.0)) / number(u64::try_from(streams)?);
    let files = after.1.saturating_sub(before.1);
    let row = |name: &str, figure: String| vec![name.to_owned(), figure];
    let rows = [
        row("opened in, s", format!("{:.1}", opened.as_secs_f64())),
        row("resident before, MB", format!("{:.1}", number(before.0) / 1e6)),
        row("resident with all open, MB", format!("{:.1}", number(after.0) / 1e6)),
        row("for each, KB", format!("{:.1}", each / 1e3)),
        row("open files for them", files.to_string()),
        row("of one core while nothing happens, %", format!("{:.1}", resting * 100.0)),
        row("all sessions ended (answers), s", format!("{:.2}", answered.as_secs_f64())),
        row("all pages told, s", format!("{:.2}", told.as_secs_f64())),
        row("last page of a user after its answer, median, ms", format!("{:.1}", quantile(&late, 500) / 1e3)),
        row("the same, slowest, ms", format!("{:.1}", quantile(&late, 1_000) / 1e3)),
    ];
    print_table(&[&format!("{streams} open pages"), ""], &rows);
    Ok(())
}

/// How long it took to end all sessions and to tell all pages, and how late the last page of each user was.
struct Ending {
    answered: Duration,
    told: Duration,
    late: Vec<u32>,
}

async fn end_all(client: &mut Client, users: &[UserId], people: &[Person], mut pages: Pages) -> Result<Ending> {
    let (started, key) = (Instant::now(), cookie_key());
    let mut answers = HashMap::new();
    for (user, person) in users.iter().zip(people) {
        let question = request("DELETE", "/sessions?include_current=true", &cookie(&key, &person.token)?);
        let answer = client.ask(&question).await?;
        ensure!(answer.status == 200, "signing out everywhere was answered with {}", answer.status);
        answers.insert(*user, Instant::now());
    }
    let answered = started.elapsed();
    let mut last = HashMap::new();
    let collecting = async {
        while let Some(page) = pages.join_next().await {
            let (user, at) = page??;
            last.entry(user).and_modify(|before: &mut Instant| *before = at.max(*before)).or_insert(at);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, collecting).await.context("not all pages were told")??;
    let told = last.values().max().context("there are pages")?.saturating_duration_since(started);
    let late = |(user, at): (_, &Instant)| answers.get(user).map(|answer| at.saturating_duration_since(*answer));
    let mut late: Vec<_> = last.iter().filter_map(late).map(micros).collect();
    late.sort_unstable();
    Ok(Ending { answered, told, late })
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn open_files(server: &Server) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", server.pid()))?.count())
}

/// A page that has been told whose it is.
async fn open(address: &str, question: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(question).await?;
    let found = tokio::time::timeout(PATIENCE, read_until(&mut stream, "event: session\n"));
    found.await.context("nothing was told in time")??;
    Ok(stream)
}

/// When the page knew that its session is over.
async fn told(mut stream: TcpStream) -> Result<Instant> {
    read_until(&mut stream, "event: session-ended\n").await?;
    Ok(Instant::now())
}

async fn read_until(stream: &mut TcpStream, event: &str) -> Result<()> {
    // As small as can be: there are many of them, and they are not what is measured.
    let (mut read, mut chunk) = (Vec::new(), [0; 512]);
    loop {
        let length = stream.read(&mut chunk).await?;
        let Some(new) = chunk.get(..length).filter(|new| !new.is_empty()) else { bail!("closed without an end") };
        read.extend_from_slice(new);
        if String::from_utf8_lossy(&read).contains(event) {
            return Ok(());
        }
        let start = read.len().saturating_sub(event.len());
        read.drain(..start);
    }
}
