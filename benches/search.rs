//! How long it takes to find sessions by a filter, with a million of them in the ledger.
//!
//! On SQLite, and on PostgreSQL where `SESSIOND_BENCH_POSTGRES` names an empty database. Prints for each filter how many
//! sessions the first page found and how long it took, and the same of the page after twenty others.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use sessiond::domain::filter::Moments;
use sessiond::domain::{
    Clock, Email, Filter, Random, Roles, SessionId, SystemClock, SystemRandom, Timestamp, Token, UserId,
};
use sessiond::ledger::search::{self, Search};
use sessiond::ledger::users::{self, NewUser};
use sessiond::ledger::{Database, Ledger, sessions};
use tempfile::TempDir;

use crate::option;
use crate::support::figures::print_table;

const SESSIONS: usize = 1_000_000;
const PER_USER: usize = 20;
/// Rows in one statement, and statements in one transaction.
const ROWS: usize = 500;
const STATEMENTS: usize = 40;
const LIMIT: usize = 50;
const DEEP: usize = 20;
const ROUNDS: usize = 5;
/// They were issued one after another for so long.
const SPREAD: Duration = Duration::from_secs(10 * 3_600);

const FILTERS: [&[(&str, &str)]; 24] = [
    &[],
    &[("user", "USER")],
    &[("ip", "10.1.2.3")],
    &[("ip", "10.1.2.0/24")],
    &[("ip", "10.1.0.0/16")],
    &[("ip", "10.0.0.0/8")],
    &[("sign_in_ip", "10.1.2.0/24")],
    &[("country", "PT")],
    &[("country", "IS")],
    &[("country", "XX")],
    &[("asn", "64500")],
    &[("browser", "Chrome")],
    &[("browser", "Lynx")],
    &[("os", "Plan 9")],
    &[("risk", "1")],
    &[("risk", "90")],
    &[("created_before", "EARLY")],
    &[("created_after", "LATE")],
    &[("last_seen_before", "HALF")],
    &[("last_seen_after", "LATE")],
    &[("user", "USER"), ("browser", "Chrome")],
    &[("country", "PT"), ("last_seen_before", "HALF")],
    &[("country", "PT"), ("browser", "Lynx")],
    &[("last_seen_before", "HALF"), ("risk", "90")],
];

/// Runs it; `--sessions` says how many.
pub async fn run() -> Result<()> {
    let size = option("--sessions", SESSIONS)?;
    let folder = TempDir::new()?;
    let path = folder.path().join("ledger.db").display().to_string();
    println!("SQLite, {size} sessions");
    let ledger = Ledger::open(Database::Sqlite { path: path.clone() })?;
    ledger.migrate().await?;
    let mut connection = SqliteConnection::establish(&path)?;
    connection.batch_execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000")?;
    let user = fill(&ledger, &mut connection, size, "x'").await?;
    drop(connection);
    report(&ledger, user).await?;
    on_postgres(size).await
}

#[cfg(feature = "postgres")]
async fn on_postgres(size: usize) -> Result<()> {
    let Ok(url) = std::env::var("SESSIOND_BENCH_POSTGRES") else {
        println!("\nPostgreSQL: left out; SESSIOND_BENCH_POSTGRES names no empty database");
        return Ok(());
    };
    println!("\nPostgreSQL, {size} sessions");
    let ledger = Ledger::open(Database::Postgres {
        servers: sessiond::ledger::Servers::new(
            sessiond::domain::PostgresUrl::parse(&url).map_err(anyhow::Error::msg)?,
        ),
    })?;
    ledger.migrate().await?;
    let mut connection = diesel::PgConnection::establish(&url)?;
    let user = fill(&ledger, &mut connection, size, "'\\x").await?;
    connection.batch_execute("VACUUM ANALYZE sessions")?;
    report(&ledger, user).await
}

#[cfg(not(feature = "postgres"))]
async fn on_postgres(_: usize) -> Result<()> {
    Ok(())
}

/// So many sessions; gives one of their users.
async fn fill(ledger: &Ledger, connection: &mut impl SimpleConnection, size: usize, bytes: &str) -> Result<UserId> {
    let (clock, started) = (SystemClock::new(), Instant::now());
    let now = clock.now();
    let owners: Vec<UserId> = (0..size.div_ceil(PER_USER)).map(|_| UserId::generate(now, &SystemRandom)).collect();
    for batch in owners.chunks(250) {
        let batch = batch.to_vec();
        ledger.write(move |db| batch.iter().try_for_each(|id| add_user(db, *id, now))).await?;
    }
    let step = SPREAD / u32::try_from(size)?;
    let mut number = 0;
    while number < size {
        let mut text = "BEGIN;".to_owned();
        for _ in 0..STATEMENTS {
            let rows: Vec<String> = (number..size.min(number + ROWS))
                .map(|at| {
                    let created = now.minus(step * u32::try_from(size - at).unwrap_or(u32::MAX));
                    row(at, owners.get(at % owners.len()).copied(), created, now, bytes)
                })
                .collect();
            number += rows.len();
            if !rows.is_empty() {
                text.push_str(&format!("INSERT INTO sessions ({COLUMNS}) VALUES {};", rows.join(",")));
            }
        }
        connection.batch_execute(&format!("{text} COMMIT"))?;
    }
    println!("filled in {:.0?}", started.elapsed());
    owners.first().copied().context("there are users")
}

const COLUMNS: &str = "id, user_id, token_hash, created_at, authenticated_at, last_seen_at, expires_at, idle_seconds, \
    remember, sign_in_ip, last_ip, country, asn, browser, os, risk, last_ip_key, sign_in_ip_key, ended_at";

fn row(number: usize, user: Option<UserId>, created: Timestamp, now: Timestamp, bytes: &str) -> String {
    let random: &dyn Random = &SystemRandom;
    let user = user.map(|id| id.to_string()).unwrap_or_default();
    let hash: String = Token::generate(random).hash().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let die = |salt: usize, below: usize| scattered(number * 16 + salt) % below;
    let address = u32::try_from(die(1, 1 << 20)).unwrap_or(0);
    let ip = Ipv4Addr::from(0x0a00_0000 | address);
    let key: String = sessions::ip_key(ip.into()).iter().map(|byte| format!("{byte:02x}")).collect();
    let age = usize::try_from(now.ms() - created.ms()).unwrap_or(0);
    let seen = created.ms() + i64::try_from(die(2, age + 1)).unwrap_or(0);
    let rare = die(3, 10_000) == 0;
    let country = if rare { "IS" } else { ["PT", "ES", "FR", "DE", "BR"].get(die(4, 5)).copied().unwrap_or("PT") };
    let (browser, os) = if rare { ("Lynx", "Plan 9") } else { ("Chrome", "Windows") };
    let risk = if die(5, 50) == 0 { die(6, 100) } else { 0 };
    let ended = if die(7, 10) < 3 { now.ms().to_string() } else { "NULL".to_owned() };
    format!(
        "('{id}','{user}',{bytes}{hash}',{at},{at},{seen},{over},28800,false,'{ip}','{ip}','{country}',{asn},\
         '{browser}','{os}',{risk},{bytes}{key}',{bytes}{key}',{ended})",
        id = SessionId::generate(created, random),
        at = created.ms(),
        over = now.ms() + 43_200_000,
        asn = 64_496 + die(8, 2_000),
    )
}

/// A number that says nothing of its neighbours' (the finalizer of splitmix64): what is rare must not be rare together.
fn scattered(number: usize) -> usize {
    let first = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let second = (first ^ (first >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let third = (second ^ (second >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    third ^ (third >> 31)
}

fn add_user(db: &mut sessiond::ledger::Db, id: UserId, now: Timestamp) -> Result<(), sessiond::ledger::LedgerError> {
    let corrupt =
        |error: sessiond::domain::email::InvalidEmail| sessiond::ledger::LedgerError::Corrupt(error.to_string());
    let email = Email::parse(&format!("{id}@example.com")).map_err(corrupt)?;
    let (password_hash, roles) = (String::new(), Roles::new_account());
    users::insert(db, &NewUser { id, email, name: None, password_hash, roles, created_at: now })?;
    Ok(())
}

async fn report(ledger: &Ledger, user: UserId) -> Result<()> {
    let now = SystemClock::new().now();
    let (early, half, late) = (now.minus(SPREAD / 10 * 9), now.minus(SPREAD / 2), now.minus(SPREAD / 100));
    let mut rows = Vec::new();
    for fields in FILTERS {
        let value = |text: &str| match text {
            "USER" => user.to_string(),
            "EARLY" => early.to_rfc3339(),
            "HALF" => half.to_rfc3339(),
            "LATE" => late.to_rfc3339(),
            other => other.to_owned(),
        };
        let fields: Vec<_> = fields.iter().map(|(field, text)| (*field, value(text))).collect();
        let filter = Filter::parse(fields.iter().map(|(field, text)| (*field, text.as_str())), Moments::Absolute)?;
        let mut search = Search { filter, after: None, now, limit: LIMIT };
        let first = timed(ledger, &search).await?;
        let mut deep = None;
        for _ in 0..DEEP {
            let at = search.clone();
            search.after = ledger.read(move |db| search::page(db, &at)).await?.next;
            if search.after.is_none() {
                break;
            }
        }
        if search.after.is_some() {
            deep = Some(timed(ledger, &search).await?);
        }
        let cells = |page: Option<(usize, Duration)>| match page {
            Some((found, took)) => [found.to_string(), format!("{:.1}", took.as_secs_f64() * 1_000.0)],
            None => ["-".to_owned(), "-".to_owned()],
        };
        let name = fields.iter().map(|(field, text)| format!("{field}={text}")).collect::<Vec<_>>().join(" ");
        let name = if name.is_empty() { "all".to_owned() } else { name };
        rows.push([name].into_iter().chain(cells(Some(first))).chain(cells(deep)).collect());
    }
    print_table(&["filter", "found", "first page, ms", "found", "21st page, ms"], &rows);
    Ok(())
}

/// How many a page finds, and the middle of some times that it took.
async fn timed(ledger: &Ledger, search: &Search) -> Result<(usize, Duration)> {
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (search, started) = (search.clone(), Instant::now());
        found = ledger.read(move |db| search::page(db, &search)).await?.sessions.len();
        times.push(started.elapsed());
    }
    times.sort();
    Ok((found, times.get(times.len() / 2).copied().unwrap_or_default()))
}
