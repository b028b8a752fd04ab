//! The stores: the database and Redis.
//!
//! Owns [`Database`] and [`Redis`]. Must never connect, and never quote an address in an error: a mistyped address may
//! show its password in an unexpected place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::given::{ConfigError, Given};
use super::settings::{Settings, var};
use super::terms;
use super::url::{SecretUrl, has_plain_hosts, is_readable};
#[cfg(feature = "postgres")]
use crate::domain::PostgresUrl;

/// The ledger is asked every second which Redis process is valid; a shorter lease would expire between two answers.
const LEAST_LEASE: Duration = Duration::from_secs(2);
const MOST_LEASE: Duration = Duration::from_secs(30);
const MAX_PREFIX: usize = 64;
/// About three gigabytes.
const MOST_COPIES: usize = 10_000_000;

/// The database that holds what must never be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file on this machine.
    Sqlite {
        /// The file; relative to the working directory, or absolute.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    #[cfg(feature = "postgres")]
    Postgres {
        /// Its address.
        url: PostgresUrl,
    },
}

impl Database {
    /// Its address in the form that another process needs, without its password.
    pub fn whole(&self) -> String {
        match self {
            Self::Sqlite { path } => format!("sqlite://{}", absolute(path)),
            #[cfg(feature = "postgres")]
            Self::Postgres { url } => url.to_string(),
        }
    }
}

/// The path in a form that is valid from every folder.
pub fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite://{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Postgres { url } => url.fmt(f),
        }
    }
}

/// The Redis that answers checks: one server, the master that Sentinels name, or a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Its address.
    pub url: SecretUrl,
    /// The prefix of every key; empty for none.
    pub prefix: String,
}

pub(super) fn database(settings: &Settings) -> Result<Database, ConfigError> {
    let given = settings.given(var::DATABASE_URL);
    let (scheme, rest) = split(&given, given.text_or_default(), "sqlite://sessiond.db or postgres://…")?;
    match scheme {
        "sqlite" => sqlite(&given, rest),
        "postgres" | "postgresql" => postgres(&given),
        _ => Err(given.bad("can only start with sqlite:// or postgres://.")),
    }
}

fn split<'a>(given: &Given<'_>, text: &'a str, forms: &str) -> Result<(&'a str, &'a str), ConfigError> {
    let plain = |scheme: &str| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+');
    let parts = text.split_once("://").filter(|(scheme, _)| plain(scheme));
    parts.ok_or_else(|| given.bad(format!("is not a URL: write {forms}.")))
}

fn sqlite(given: &Given<'_>, path: &str) -> Result<Database, ConfigError> {
    // SQLite would read such a name as an address, or as a separate database for each connection.
    if path.starts_with(':') || path.starts_with("file:") {
        return Err(given.bad(
            "names a database in memory or an SQLite address, but must name a file: write \
            sqlite://sessiond.db or sqlite:///var/lib/sessiond/sessiond.db.",
        ));
    }
    // A file needs no user and no password: such an address is another kind of database's.
    let has_user = path.split('/').next().is_some_and(|first| first.contains('@'));
    if path.is_empty()
        || path.ends_with('/')
        || path.contains(['?', '#'])
        || path.contains(char::is_control)
        || has_user
    {
        return Err(given.bad(
            "must name a plain file: write sqlite://sessiond.db or sqlite:///var/lib/sessiond/sessiond.db, without \
                options.",
        ));
    }
    Ok(Database::Sqlite { path: PathBuf::from(path) })
}

#[cfg(feature = "postgres")]
fn postgres(given: &Given<'_>) -> Result<Database, ConfigError> {
    let url = PostgresUrl::parse(given.text().unwrap_or_default());
    url.map(|url| Database::Postgres { url }).map_err(|why| given.bad(format!("{why}.")))
}

#[cfg(not(feature = "postgres"))]
fn postgres(given: &Given<'_>) -> Result<Database, ConfigError> {
    Err(given.bad(
        "is a PostgreSQL address, but this sessiond was built without PostgreSQL: build it with `cargo build \
         --release --features postgres` (which needs libpq), or use sqlite://FILE.",
    ))
}

const UNREADABLE: &str = "has no valid host and port: percent-encode special characters in the password (@ is %40, : \
    is %3A, / is %2F, % is %25).";

pub(super) fn redis(settings: &Settings) -> Result<Option<Redis>, ConfigError> {
    let given = settings.given(var::REDIS_URL);
    let prefix = prefix(&settings.given(var::REDIS_PREFIX))?;
    let Some(text) = given.text() else { return Ok(None) };
    check_redis(&given, text)?;
    Ok(Some(Redis { url: SecretUrl::new(text), prefix }))
}

/// How long one Redis process is believed after the ledger last confirmed it.
pub(super) fn near_cache(settings: &Settings, has_redis: bool) -> Result<usize, ConfigError> {
    let given = settings.given(var::NEAR_CACHE);
    match given.number(0, MOST_COPIES)? {
        copies if copies > 0 && !has_redis => {
            Err(given
                .bad("needs REDIS_URL: it keeps copies of what Redis holds, and nodes tell each other over Redis."))
        }
        copies => Ok(copies),
    }
}

pub(super) fn store_lease(settings: &Settings) -> Result<Duration, ConfigError> {
    terms::duration(&settings.given(var::STORE_LEASE), LEAST_LEASE, MOST_LEASE)
}

fn check_redis(given: &Given<'_>, text: &str) -> Result<(), ConfigError> {
    let nodes: Vec<&str> = apart(text).collect();
    let forms = "redis://HOST:PORT, rediss://HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT?service=NAME";
    let schemes = nodes.iter().map(|node| split(given, node, forms).map(|(scheme, _)| scheme));
    let schemes: Vec<_> = schemes.collect::<Result<_, _>>()?;
    if let [sentinel @ ("redis+sentinel" | "rediss+sentinel")] = schemes.as_slice() {
        return check_sentinels(given, text.split_at(sentinel.len() + "://".len()).1);
    }
    if schemes.iter().any(|scheme| !matches!(*scheme, "redis" | "rediss")) {
        return Err(given.bad("can only start with redis://, rediss:// or, alone, redis+sentinel://."));
    }
    if schemes.windows(2).any(|pair| pair.first() != pair.last()) {
        return Err(given.bad("mixes redis:// and rediss://: write all nodes of the cluster with the same scheme."));
    }
    nodes.iter().try_for_each(|node| check_server(given, split(given, node, forms)?.1, nodes.len() > 1))
}

/// Splits a list of addresses. Keeps a comma within a password.
fn apart(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices(',').map(|(at, _)| at).filter(|at| {
        let after = text.split_at(at + 1).1.trim_start();
        after.starts_with("redis://") || after.starts_with("rediss://")
    });
    let mut ends: Vec<_> = starts.collect();
    ends.push(text.len());
    let mut start = 0;
    ends.into_iter().map(move |end| {
        let part = text.get(start..end).unwrap_or_default();
        start = end + 1;
        part.trim()
    })
}

fn check_server(given: &Given<'_>, rest: &str, in_cluster: bool) -> Result<(), ConfigError> {
    if rest.contains("://") || rest.split(['/', '?']).next().is_some_and(|hosts| hosts.contains(',')) {
        return Err(given.bad(
            "names several servers in one address: write the nodes of a Redis Cluster as \
            redis://HOST:PORT,redis://HOST:PORT (and a comma in a password as %2C).",
        ));
    }
    let database = check_parts(given, rest, &["protocol"])?;
    if in_cluster && !matches!(database, "" | "0") {
        return Err(given.bad("has a database number, but a Redis Cluster has no databases: leave it out."));
    }
    Ok(())
}

fn check_sentinels(given: &Given<'_>, rest: &str) -> Result<(), ConfigError> {
    let options = rest.split_once('?').map_or("", |(_, options)| options);
    let service = options.split('&').find_map(|option| option.strip_prefix("service="));
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !service.is_some_and(|name| !name.is_empty() && plain(name)) {
        return Err(given.bad(
            "does not name the master that the Sentinels watch: write \
                redis+sentinel://HOST:PORT,HOST:PORT?service=NAME.",
        ));
    }
    check_parts(given, rest, &["service", "sentinel_user", "sentinel_password", "protocol"])?;
    let mut hosts: Vec<&str> = hosts(rest).split(',').collect();
    hosts.sort_unstable();
    if hosts.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(given.bad("names one Sentinel twice, but each has one vote: name each one once."));
    }
    Ok(())
}

fn hosts(rest: &str) -> &str {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts)
}

/// Checks the parts that all forms share, with these options after the `?`; returns the database.
fn check_parts<'a>(given: &Given<'_>, rest: &'a str, known: &[&str]) -> Result<&'a str, ConfigError> {
    if rest.contains('#') {
        return Err(given.bad(
            "has a part after #, but the server's certificate is always checked: leave that part \
            out (and write # in a password as %23).",
        ));
    }
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let mut names = options.split('&').filter(|option| !option.is_empty()).map(|option| option.split('=').next());
    if !names.all(|name| name.is_some_and(|name| known.contains(&name))) {
        return Err(given.bad(format!("has an unknown option: the options after the ? are {}.", known.join(", "))));
    }
    let database = place.split_once('/').map_or("", |(_, database)| database);
    if hosts(rest).split(',').any(|host| host.is_empty() || host.starts_with(':'))
        || !has_plain_hosts(rest)
        || !is_readable(rest)
    {
        return Err(given.bad(UNREADABLE));
    }
    if !database.is_empty() && database.parse::<u16>().is_err() {
        return Err(given.bad("has a path that is not a database number: write redis://HOST:PORT/0."));
    }
    Ok(database)
}

fn prefix(given: &Given<'_>) -> Result<String, ConfigError> {
    let text = given.text().unwrap_or_default();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
    if plain && text.len() <= MAX_PREFIX {
        return Ok(text.to_owned());
    }
    Err(given
        .is_no(text, format_args!("but can only have letters, digits, . _ : and -, at most {MAX_PREFIX} characters.")))
}
