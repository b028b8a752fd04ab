//! How the cost of a session and of a check grows: with live sessions, with sessions of one user, with nodes.
//!
//! Each part prints a table of its own. `cargo bench -- growth`; `--most 1000000` leaves the largest size out (ten
//! million sessions take some minutes and five gigabytes of memory).

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use diesel::prelude::*;
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

/// Every other size is measured in turns with this one: what counts is the ratio of the two in one run.
const SMALLEST: usize = 1_000;
const LARGER: [usize; 3] = [100_000, 1_000_000, 10_000_000];
const SESSIONS_PER_USER: usize = 10;
const OF_ONE_USER: [usize; 3] = [1, 100, 10_000];
const NODES: [usize; 2] = [1, 8];
const TOLD: usize = 100_000;
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
    live_sessions(LARGER.into_iter().filter(|size| *size <= most)).await?;
    println!();
    one_user().await?;
    println!();
    nodes().await?;
    println!();
    last_seen(TOLD.min(most)).await?;
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
        let mut population = Population::create(&folder.path().join("ledger.db")).await?;
        let users = population.users(size.div_ceil(SESSIONS_PER_USER))?;
        let people = population.sessions(&users, size)?;
        Ok(Self { redis, folder, people })
    }

    fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn server(&self) -> Result<Server> {
        // Long enough that no last-seen time falls due while checks are measured: what that costs grows with how many
        // sessions are in use, not with how many there are.
        let resolution = [("SESSIOND_LAST_SEEN_RESOLUTION", "20m")];
        Server::start_with(cpu::SERVER, &self.database(), Some(self.redis.url()), &resolution)
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
    let proven_at = Some(person.session.made_at());
    Record { session: person.session, user: person.user, proven_at, ..sample.clone() }
}

/// What a check costs, and how much room a session takes, with many sessions and with few.
async fn live_sessions(sizes: impl Iterator<Item = usize>) -> Result<()> {
    let mut rows = Vec::new();
    let mut few = Site::of(SMALLEST).await?;
    for size in sizes {
        let mut many = Site::of(size).await?;
        let forward = in_turns(&mut few, &mut many, "/auth/forward").await?;
        let me = in_turns(&mut few, &mut many, "/me").await?;
        let pair = |(few, many): (f64, f64)| [format!("{few:.1}"), format!("{many:.1}"), format!("{:.2}", many / few)];
        let mut row = vec![size.to_string()];
        row.extend([pair(forward.server), pair(me.server), pair(forward.redis)].concat());
        row.extend(
            [many.in_redis, disk(&many.world.database())?].map(|it| format!("{:.0}", number(it) / number(size))),
        );
        rows.push(row);
        println!("({size} sessions measured)");
    }
    println!("each cost at 1 000 live sessions, at so many, and the ratio; medians of {ROUNDS} rounds in turns");
    let titles = ["live sessions", "forward µs", "", "", "/me µs", "", "", "Redis µs", "", "", "Redis B", "SQLite B"];
    print_table(&titles, &rows);
    Ok(())
}

/// So many sessions with their records, and a server.
struct Site {
    world: World,
    server: Server,
    /// Bytes that their records take.
    in_redis: u64,
}

impl Site {
    async fn of(size: usize) -> Result<Self> {
        let mut world = World::of(size).await?;
        let server = world.server()?;
        let empty = world.redis.info("memory", "used_memory")?;
        world.fill(&server).await?;
        let in_redis = world.redis.info("memory", "used_memory")? - empty;
        Ok(Self { world, server, in_redis })
    }

    /// Processor time of one request in µs: the server's and Redis' share.
    async fn cost(&mut self, requests: &[Vec<u8>]) -> Result<(f64, f64)> {
        let before = (cpu::used(self.server.pid())?, cpu::used(self.world.redis.pid())?);
        let outcome = load::run(&self.server.address, requests, CONNECTIONS, DURATION).await?;
        anyhow::ensure!(outcome.refused == 0, "{} requests were refused", outcome.refused);
        let each = |used: Duration| used.as_secs_f64() * 1e6 / number(outcome.answered);
        Ok((each(cpu::used(self.server.pid())? - before.0), each(cpu::used(self.world.redis.pid())? - before.1)))
    }
}

/// Medians with few and with many sessions.
struct Costs {
    server: (f64, f64),
    redis: (f64, f64),
}

async fn in_turns(few: &mut Site, many: &mut Site, path: &str) -> Result<Costs> {
    let (of_few, of_many) = (few.world.requests(path, SAMPLE)?, many.world.requests(path, SAMPLE)?);
    load::once_each(&few.server.address, &of_few, CONNECTIONS).await?;
    load::once_each(&many.server.address, &of_many, CONNECTIONS).await?;
    let mut costs: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let (server, redis) = few.cost(&of_few).await?;
        let (with_many, redis_with_many) = many.cost(&of_many).await?;
        for (all, one) in costs.iter_mut().zip([server, with_many, redis, redis_with_many]) {
            all.push(one);
        }
    }
    let [few, many, redis_few, redis_many] = costs.map(|all| median(&all));
    Ok(Costs { server: (few, many), redis: (redis_few, redis_many) })
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
        let mut population = Population::create(&database).await?;
        let owner = population.users(1)?;
        let people = population.sessions(&owner, count)?;
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

/// Each session is used once; how long until the ledger knows of all.
async fn last_seen(size: usize) -> Result<()> {
    let world = World::of(size).await?;
    let server = world.server()?;
    let requests = world.requests("/auth/forward", size)?;
    let mut ledger = SqliteConnection::establish(&world.database().display().to_string())?;
    let before = (cpu::used(server.pid())?, Instant::now());
    load::once_each(&server.address, &requests, CONNECTIONS).await?;
    let asked = before.1.elapsed().as_secs_f64();
    while told(&mut ledger)? < i64::try_from(size)? {
        anyhow::ensure!(before.1.elapsed() < Duration::from_secs(120), "the ledger is not told");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let used = (cpu::used(server.pid())? - before.0).as_secs_f64() * 1e6 / number(size);
    println!(
        "last-seen times: {size} sessions used once each in {asked:.1} s, all told to SQLite after {:.1} s ({used:.0} µs each)",
        before.1.elapsed().as_secs_f64()
    );
    Ok(())
}

fn told(ledger: &mut SqliteConnection) -> Result<i64> {
    Ok(sessions::table.filter(sessions::last_seen_at.gt(sessions::created_at)).count().get_result(ledger)?)
}

diesel::table! {
    sessions (id) {
        id -> Text,
        created_at -> BigInt,
        last_seen_at -> BigInt,
    }
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
