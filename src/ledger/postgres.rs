//! PostgreSQL's servers: which one to connect to, and whether it can hold a ledger.
//!
//! Owns the connection attempts and the check of a server before its first use. Every step has a time limit, after
//! which the next server is tried, and a failed step leaves nothing behind on the server. Must never pass on the
//! driver's text unmasked, nor in more than one line.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{Connection, ConnectionError, ConnectionResult, PgConnection, QueryResult, QueryableByName, RunQueryDsl};

use super::error::LedgerError;
use crate::domain::PostgresUrl;

/// How long a server may take to answer the check before its first use, besides the operator's connect timeout.
const LOOK_WAIT: Duration = Duration::from_secs(4);
/// Connections that may wait at once for one server's first answer. More than are opened at a time, so that only a
/// server that has stopped answering is skipped until it answers.
const MOST_ASKED: usize = 32;

/// The servers of one address; cheap to clone.
#[derive(Clone)]
pub struct Servers {
    url: Arc<PostgresUrl>,
    /// The server that answered last is tried first: the others would delay every new connection.
    preferred: Arc<AtomicUsize>,
    /// How many steps wait for an answer of each server.
    asked: Arc<[AtomicUsize]>,
}

impl Servers {
    /// Connects to no server yet.
    pub fn new(url: PostgresUrl) -> Self {
        let asked = url.connection_strings().iter().map(|_| AtomicUsize::default()).collect();
        Self { url: Arc::new(url), preferred: Arc::default(), asked }
    }

    /// Connects to the first server that answers and that `prepare` accepts, each within a time limit.
    pub(super) fn connect(&self, prepare: fn(&mut PgConnection) -> QueryResult<()>) -> ConnectionResult<PgConnection> {
        let opened = self.first(1, move |connect| {
            let mut connection = connect().map_err(unreachable)?;
            prepare(&mut connection)?;
            Ok(connection)
        });
        opened.map_err(|error| ConnectionError::BadConnection(words(&error)))
    }

    /// Connects to the first server that answers and can hold a ledger, each within a time limit.
    pub(super) fn look(&self) -> Result<PgConnection, LedgerError> {
        self.first(2, look)
    }

    /// The first server that `open` opens, with this many connections; otherwise the reason.
    fn first(
        &self,
        connections: u32,
        open: impl Fn(&Connect) -> Result<PgConnection, LedgerError> + Copy + Send + 'static,
    ) -> Result<PgConnection, LedgerError> {
        let bound = LOOK_WAIT.saturating_add(self.url.connect_timeout().saturating_mul(connections));
        let servers = self.url.connection_strings();
        let start = self.preferred.load(Ordering::Relaxed);
        let (mut faults, mut reached) = (Vec::new(), false);
        for number in (0..servers.len()).map(|step| (start + step) % servers.len().max(1)) {
            let Some(server) = servers.get(number).cloned() else { continue };
            let connect: Connect = Box::new(move || PgConnection::establish(&server));
            let opened = Asked::of(&self.asked, number).and_then(|asked| {
                within(bound, move || {
                    let _until_answered = asked;
                    open(&connect)
                })
            });
            match opened {
                Ok(opened) => {
                    self.preferred.store(number, Ordering::Relaxed);
                    return Ok(opened);
                }
                Err(error) => {
                    reached |= !matches!(error, LedgerError::Unreachable(_));
                    faults.push(one_line(&self.url.scrub(&words(&error))));
                }
            }
        }
        faults.dedup();
        let why = faults.join("; ");
        Err(if reached { LedgerError::Unfit(why) } else { LedgerError::Unreachable(why) })
    }
}

type Connect = Box<dyn Fn() -> ConnectionResult<PgConnection> + Send>;

/// Counts a step that waits for a server's answer.
struct Asked {
    all: Arc<[AtomicUsize]>,
    server: usize,
}

impl Asked {
    fn of(all: &Arc<[AtomicUsize]>, server: usize) -> Result<Self, LedgerError> {
        let asked = Self { all: Arc::clone(all), server };
        match asked.count().is_some_and(|count| count.fetch_add(1, Ordering::Relaxed) < MOST_ASKED) {
            true => Ok(asked),
            false => Err(LedgerError::Unreachable("the server has stopped answering".to_owned())),
        }
    }

    fn count(&self) -> Option<&AtomicUsize> {
        self.all.get(self.server)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(count) = self.count() {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The text of an error without its kind.
fn words(error: &LedgerError) -> String {
    match error {
        LedgerError::Unreachable(words) | LedgerError::Unfit(words) | LedgerError::Unavailable(words) => words.clone(),
        other => other.to_string(),
    }
}

/// The driver's message for each address that it tried, without its hints (indented lines) and full stops.
fn one_line(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.starts_with(char::is_whitespace));
    let mut lines: Vec<_> = lines.map(|line| line.trim_end().trim_end_matches('.')).collect();
    lines.dedup();
    lines.join("; ")
}

/// Runs `step` on its own thread, and waits at most this long. The driver itself may block forever: a step without an
/// answer keeps its thread and its connection.
pub(super) fn within<T: Send + 'static>(
    bound: Duration,
    step: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let (done, ended) = mpsc::channel();
    let start = thread::Builder::new().name("postgres".to_owned()).spawn(move || done.send(step()));
    start.map_err(|error| LedgerError::Unavailable(error.to_string()))?;
    ended.recv_timeout(bound).unwrap_or_else(|error| {
        Err(LedgerError::Unfit(match error {
            RecvTimeoutError::Timeout => {
                format!("the server accepts connections, but does not answer within {bound:?}")
            }
            RecvTimeoutError::Disconnected => "asking the server failed".to_owned(),
        }))
    })
}

/// Checks a server before anything is changed there.
fn look(connect: &Connect) -> Result<PgConnection, LedgerError> {
    let mut connection = connect().map_err(unreachable)?;
    let found: Server =
        sql_query("SELECT current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby")
            .get_result(&mut connection)?;
    if found.standby {
        return Err(LedgerError::Unfit("the server is a standby: name the primary, too".to_owned()));
    }
    if found.encoding != "UTF8" {
        return Err(LedgerError::Unfit(format!(
            "the database's encoding is {}, but must be UTF8: create one with CREATE DATABASE … ENCODING 'UTF8' \
             TEMPLATE template0",
            found.encoding
        )));
    }
    if is_shared(&mut connection, &mut connect().map_err(unreachable)?)? {
        return Err(LedgerError::Unfit(
            "a pooler in front of the server gives each transaction or statement another connection, but sessiond \
             needs its own: use pool_mode = session (PgBouncer), or name the server itself"
                .to_owned(),
        ));
    }
    Ok(connection)
}

fn unreachable(error: ConnectionError) -> LedgerError {
    LedgerError::Unreachable(error.to_string())
}

#[derive(QueryableByName)]
struct Server {
    #[diesel(sql_type = Text)]
    encoding: String,
    #[diesel(sql_type = Bool)]
    standby: bool,
}

/// Whether two connections share one server connection: then one gets the state that the other has left, or loses its
/// connection to another client's transaction.
fn is_shared(one: &mut PgConnection, other: &mut PgConnection) -> QueryResult<bool> {
    let own = process(one)?;
    if let Err(error) = other.batch_execute("BEGIN") {
        // With a connection for each statement, no transaction may begin: PgBouncer disconnects such clients.
        return process(one).map(|_| true).map_err(|_| error);
    }
    let shared = process(other)? == own || process(one)? != own;
    other.batch_execute("ROLLBACK")?;
    Ok(shared)
}

fn process(connection: &mut PgConnection) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Process {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    Ok(sql_query("SELECT pg_backend_pid()::bigint AS id").get_result::<Process>(connection)?.id)
}
