//! People who are signed in: rows of a ledger, and the requests that their browsers send.
//!
//! Owns making many of them quickly, by the ledger's own functions, before a server starts. Their passwords fit
//! nothing: benchmarks of checks need none.

use std::path::Path;
use std::time::Duration;

use actix_web::cookie::{Cookie, CookieJar, Key};
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use sessiond::domain::session::Terms;
use sessiond::domain::{Client, Clock, Email, Random, Roles, SessionId, SystemClock, SystemRandom, Token, UserId};
use sessiond::ledger::sessions::{self, Session};
use sessiond::ledger::users::{self, NewUser};
use sessiond::ledger::{Database, Db, Ledger, LedgerError};

use super::place::Place;

const COOKIE: &str = "__Host-session";
const IDLE: Duration = Duration::from_secs(8 * 60 * 60);
const ABSOLUTE: Duration = Duration::from_secs(12 * 60 * 60);
/// Rows for each transaction.
const BATCH: usize = 100_000;
/// Nothing of this has to outlive the run, and indexes of random hashes grow quickly only in memory.
const HURRY: &str = "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 250000; PRAGMA cache_size = -6000000";
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// A ledger to fill.
pub struct Population {
    db: Db,
    clock: SystemClock,
}

/// One session: what only its browser knows, and what others may.
#[derive(Clone)]
pub struct Person {
    /// The token in the cookie.
    pub token: Token,
    /// The session's public id.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
}

impl Population {
    /// Over a new SQLite file.
    pub async fn create(path: &Path) -> Result<Self> {
        let path = path.display().to_string();
        Ledger::open(Database::Sqlite { path: path.clone() })?.migrate().await?;
        let mut connection = SqliteConnection::establish(&path)?;
        connection.batch_execute(HURRY)?;
        Ok(Self { db: Db::Sqlite(connection), clock: SystemClock::new() })
    }

    /// Over a new ledger.
    pub async fn create_at(place: &Place) -> Result<Self> {
        Ledger::open(place.database()?)?.migrate().await?;
        Ok(Self { db: place.connect()?, clock: SystemClock::new() })
    }

    /// So many users.
    pub fn users(&mut self, count: usize) -> Result<Vec<UserId>> {
        let now = self.clock.now();
        let ids: Vec<UserId> = (0..count).map(|_| UserId::generate(now, &SystemRandom)).collect();
        for batch in ids.chunks(BATCH) {
            self.add(|db| batch.iter().try_for_each(|id| add_user(db, *id, now)))?;
        }
        Ok(ids)
    }

    /// Accounts of these addresses, with this stored hash.
    pub fn accounts(&mut self, emails: Vec<String>, password_hash: &str, disabled: bool) -> Result<()> {
        let now = self.clock.now();
        self.add(|db| {
            emails.iter().try_for_each(|text| {
                let email = Email::parse(text).map_err(|error| LedgerError::Corrupt(error.to_string()))?;
                let id = UserId::generate(now, &SystemRandom);
                let (password_hash, roles) = (password_hash.to_owned(), Roles::new_account());
                users::insert(db, &NewUser { id, email, name: None, password_hash, roles, created_at: now })?;
                if disabled { users::set_disabled(db, id, Some(now)) } else { Ok(()) }
            })
        })
    }

    /// So many sessions, spread evenly over these users.
    pub fn sessions(&mut self, users: &[UserId], count: usize) -> Result<Vec<Person>> {
        let people: Vec<Person> = users.iter().cycle().take(count).map(|user| self.person(*user)).collect();
        for batch in people.chunks(BATCH) {
            let now = self.clock.now();
            self.add(|db| batch.iter().try_for_each(|person| sessions::insert(db, row(person, now))))?;
        }
        Ok(people)
    }

    fn add(&mut self, insert: impl FnOnce(&mut Db) -> Result<(), LedgerError>) -> Result<()> {
        self.db.batch_execute(match self.db {
            #[cfg(feature = "postgres")]
            Db::Pg(_) => "BEGIN",
            Db::Sqlite(_) => "BEGIN IMMEDIATE",
        })?;
        insert(&mut self.db)?;
        Ok(self.db.batch_execute("COMMIT")?)
    }

    fn person(&self, user: UserId) -> Person {
        let random: &dyn Random = &SystemRandom;
        Person { token: Token::generate(random), session: SessionId::generate(self.clock.now(), random), user }
    }
}

fn add_user(db: &mut Db, id: UserId, now: sessiond::domain::Timestamp) -> Result<(), LedgerError> {
    let email = Email::parse(&format!("{id}@example.com")).map_err(|error| LedgerError::Corrupt(error.to_string()))?;
    let (password_hash, roles) = (String::new(), Roles::new_account());
    users::insert(db, &NewUser { id, email, name: Some("Ada".to_owned()), password_hash, roles, created_at: now })?;
    Ok(())
}

fn row(person: &Person, now: sessiond::domain::Timestamp) -> Session {
    let terms = Terms { idle: IDLE, absolute: ABSOLUTE };
    let client =
        Client { ip: [127, 0, 0, 1].into(), user_agent: Some(USER_AGENT.to_owned()), request_id: uuid::Uuid::nil() };
    Session::new(person.session, person.user, person.token.hash(), (terms, false), &client, now)
}

/// The cookie of a token, as a browser sends it, under a server's key (base64).
pub fn cookie(key: &str, token: &Token) -> Result<String> {
    let key = Key::from(&STANDARD.decode(key)?);
    let mut jar = CookieJar::new();
    jar.signed_mut(&key).add(Cookie::new(COOKIE, token.expose()));
    let value = jar.get(COOKIE).context("it was just added")?.value().to_owned();
    Ok(format!("{COOKIE}={}", value.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")))
}

/// A request with a cookie.
pub fn request(method: &str, path: &str, cookie: &str) -> Vec<u8> {
    let lines = [
        format!("{method} {path} HTTP/1.1"),
        "Host: localhost:8080".to_owned(),
        format!("User-Agent: {USER_AGENT}"),
        "Accept: */*".to_owned(),
        "X-Requested-With: benchmark".to_owned(),
        format!("Cookie: {cookie}"),
    ];
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}
