//! How the cost of a session and of a check grows: with live sessions, with sessions of one user, with nodes.
//!
//! Each part prints a table of its own. `cargo bench -- growth`; `--most 1000000` leaves the largest size out (ten
//! million sessions take some minutes and five gigabytes of memory).

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use redis::pipe;
use sessiond::live::Record;
use tempfile::TempDir;

use crate::option;
use crate::support::cpu;
use crate::support::figures::{median, number, print_table};
use crate::support::load::{self, Client};
use crate::support::population::{Person, Population, cookie, request};
use crate::support::redis::Redis;
use crate::support::server::{Server, cookie_key};

const SIZES: [usize; 4] = [1_000, 100_000, 1_000_000, 10_000_000];
const SESSIONS_PER_USER: usize = 10;
const OF_ONE_USER: [usize; 3] = [1, 100, 10_000];
const NODES: [usize; 2] = [1, 8];
const REBUILT: usize = 1_000_000;

/// Sessions that are asked about, at most; spread over all of them.
const SAMPLE: usize = 100_000;
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
const DURATION: Duration = Duration::from_secs(3);
/// Records written in one pipeline.
const CHUNK: usize = 1_000;

/// Runs all parts.
pub async fn run() -> Result<()> {
    let most = option("--most", usize::MAX)?;
    let mut rows = Vec::new();
    for size in SIZES.into_iter().filter(|size| *size <= most) {
        rows.push(live_sessions(size).await?);
        println!("({size} sessions measured)");
    }
    print_table(&["live sessions", "forward µs", "/me µs", "Redis µs", "Redis bytes", "SQLite bytes"], &rows);
    println!();
    one_user().await?;
    println!();
    nodes().await?;
    println!();
    rebuild(REBUILT.min(most)).await
}

/// Everything for one part: private stores and people who are signed in.
struct World {
    redis: Redis,
    folder: TempDir,
    people: Vec<Person>,
}

impl World {
    async fn of(size: usize) -> Result<Self> {
        let (redis, folder) = (Redis::start()?, TempDir::new()?);
        let population = Population::create(&folder.path().join("ledger.db")).await?;
        let users = population.users(size.div_ceil(SESSIONS_PER_USER)).await?;
        let people = population.sessions(&users, size).await?;
        Ok(Self { redis, folder, people })
    }

    fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn server(&self) -> Result<Server> {
        // Not so long that a minute of measuring is a minute of writing last-seen times.
        Server::start_with(
            cpu::SERVER,
            &self.database(),
            Some(self.redis.url()),
            &[("SESSIOND_LAST_SEEN_RESOLUTION", "60s")],
        )
    }

    /// Requests about sessions spread over all of them.
    fn requests(&self, path: &str, most: usize) -> Result<Vec<Vec<u8>>> {
        let key = cookie_key();
        let people = self.people.iter().step_by(self.people.len().div_ceil(most).max(1));
        people.map(|person| Ok(request("GET", path, &cookie(&key, &person.token)?))).collect()
    }

    /// Writes every record as a fill would have, without asking the server for each.
    async fn fill(&mut self, server: &Server) -> Result<()> {
        let first = self.people.first().context("nobody is signed in")?;
        let ask = request("GET", "/auth/forward", &cookie(&cookie_key(), &first.token)?);
        Client::connect(&server.address).await?.ask(&ask).await?;
        let text: Vec<u8> = redis::cmd("GET").arg(key(first)).query(self.redis.connection())?;
        let sample = Record::parse(&text, &first.token.hash()).context("the server has written no record")?;
        for chunk in self.people.chunks(CHUNK) {
            let mut pipeline = pipe();
            for person in chunk {
                let text = record(person, &sample).to_text(&person.token.hash());
                pipeline.cmd("SET").arg(key(person)).arg(text).arg("PX").arg(1_800_000).ignore();
            }
            pipeline.exec(self.redis.connection())?;
        }
        Ok(())
    }
}

fn key(person: &Person) -> String {
    format!("session:{}", person.token.hash().to_base64url())
}

fn record(person: &Person, sample: &Record) -> Record {
    Record { session: person.session, user: person.user, ..sample.clone() }
}

async fn live_sessions(size: usize) -> Result<Vec<String>> {
    let mut world = World::of(size).await?;
    let server = world.server()?;
    let empty = world.redis.info("memory", "used_memory")?;
    world.fill(&server).await?;
    let filled = world.redis.info("memory", "used_memory")?;
    let (forward, redis) = cost(&mut world, &server, "/auth/forward").await?;
    let (me, _) = cost(&mut world, &server, "/me").await?;
    let each = |bytes: u64| format!("{:.0}", number(bytes) / number(size));
    let on_disk = disk(&world.database())?;
    Ok(vec![
        size.to_string(),
        format!("{forward:.1}"),
        format!("{me:.1}"),
        format!("{redis:.1}"),
        each(filled - empty),
        each(on_disk),
    ])
}

/// Processor time of one request: the server's and Redis' share, medians of the rounds.
async fn cost(world: &mut World, server: &Server, path: &str) -> Result<(f64, f64)> {
    let requests = world.requests(path, SAMPLE)?;
    load::once_each(&server.address, &requests, CONNECTIONS).await?;
    let (mut of_server, mut of_redis) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = (cpu::used(server.pid())?, cpu::used(world.redis.pid())?);
        let outcome = load::run(&server.address, &requests, CONNECTIONS, DURATION).await?;
        anyhow::ensure!(outcome.refused == 0, "{} requests were refused", outcome.refused);
        let answered = number(outcome.answered);
        of_server.push((cpu::used(server.pid())? - before.0).as_secs_f64() * 1e6 / answered);
        of_redis.push((cpu::used(world.redis.pid())? - before.1).as_secs_f64() * 1e6 / answered);
    }
    Ok((median(&of_server), median(&of_redis)))
}

fn disk(database: &Path) -> Result<u64> {
    let of = |ending: &str| std::fs::metadata(format!("{}{ending}", database.display())).map_or(0, |file| file.len());
    anyhow::ensure!(of("") > 0, "the ledger has no file");
    Ok(of("") + of("-wal"))
}

/// Listing and ending all sessions of one user.
async fn one_user() -> Result<()> {
    let mut rows = Vec::new();
    for count in OF_ONE_USER {
        let (redis, folder) = (Redis::start()?, TempDir::new()?);
        let database = folder.path().join("ledger.db");
        let population = Population::create(&database).await?;
        let people = population.sessions(&population.users(1).await?, count).await?;
        let server = Server::start(&database, Some(redis.url()))?;
        let key = cookie_key();
        let checks: Vec<_> = people
            .iter()
            .map(|person| Ok(request("GET", "/auth/forward", &cookie(&key, &person.token)?)))
            .collect::<Result<_>>()?;
        load::once_each(&server.address, &checks, CONNECTIONS).await?;
        let first = cookie(&key, &people.first().context("nobody is signed in")?.token)?;
        let mut client = Client::connect(&server.address).await?;
        let listed = timed(&mut client, &request("GET", "/sessions", &first), 200).await?;
        let ended = timed(&mut client, &request("DELETE", "/sessions?include_current=true", &first), 200).await?;
        rows.push(vec![count.to_string(), format!("{listed:.1}"), format!("{ended:.1}")]);
    }
    print_table(&["sessions of one user", "list ms", "end all ms"], &rows);
    Ok(())
}

async fn timed(client: &mut Client, request: &[u8], expected: u16) -> Result<f64> {
    let started = Instant::now();
    let status = client.ask(request).await?.status;
    anyhow::ensure!(status == expected, "answered with {status}");
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// One and eight nodes over one Redis: what each request costs all nodes together, and Redis.
async fn nodes() -> Result<()> {
    let mut rows = Vec::new();
    for count in NODES {
        let mut world = World::of(10_000).await?;
        let servers = (0..count).map(|_| world.server()).collect::<Result<Vec<_>>>()?;
        let first = servers.first().context("no node")?;
        world.fill(first).await?;
        let requests = world.requests("/auth/forward", SAMPLE)?;
        load::once_each(&first.address, &requests, CONNECTIONS).await?;
        let used = |world: &World| -> Result<(Duration, Duration)> {
            let nodes = servers.iter().map(|server| cpu::used(server.pid())).sum::<Result<Duration>>()?;
            Ok((nodes, cpu::used(world.redis.pid())?))
        };
        let before = used(&world)?;
        let loads = servers.iter().map(|server| load::run(&server.address, &requests, CONNECTIONS / count, DURATION));
        let outcomes = futures_util::future::try_join_all(loads).await?;
        let after = used(&world)?;
        let answered = number(outcomes.iter().map(|outcome| outcome.answered).sum::<u64>());
        let each = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1e6 / answered);
        rows.push(vec![
            count.to_string(),
            each(after.0 - before.0),
            each(after.1 - before.1),
            format!("{:.0}", answered / DURATION.as_secs_f64()),
        ]);
    }
    print_table(&["nodes on one Redis", "nodes µs", "Redis µs", "requests/s"], &rows);
    Ok(())
}

/// After FLUSHALL each session is asked about once, as fast as one node answers.
async fn rebuild(size: usize) -> Result<()> {
    let mut world = World::of(size).await?;
    let server = world.server()?;
    let requests = world.requests("/auth/forward", size)?;
    world.fill(&server).await?;
    redis::cmd("FLUSHALL").exec(world.redis.connection())?;
    let before = cpu::used(server.pid())?;
    let outcome = load::once_each(&server.address, &requests, CONNECTIONS).await?;
    let used = (cpu::used(server.pid())? - before).as_secs_f64() * 1e6 / number(outcome.answered);
    let (seconds, refused) = (outcome.elapsed.as_secs_f64(), outcome.refused);
    let (rate, p99) = (number(outcome.answered) / seconds, outcome.quantile(990) / 1e3);
    println!(
        "after FLUSHALL: {size} sessions asked about once each in {seconds:.0} s ({rate:.0}/s, {used:.0} µs each, p99 \
         {p99:.1} ms), {refused} refused"
    );
    Ok(())
}
