//! PostgreSQL's servers: which of them to ask, and whether a ledger can be kept there.
//!
//! Owns the way to a connection and the look at a server before the first use. Every step of the look has a bound, and one
//! that comes to nothing leaves nothing behind on the server. Must never let a driver's words out unmasked.

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

/// How long a server may take to answer what it is asked at the start, beside what the operator gives it to connect.
const LOOK_WAIT: Duration = Duration::from_secs(4);

/// The servers of one address; cheap to clone.
#[derive(Clone)]
pub struct Servers {
    url: Arc<PostgresUrl>,
    /// The one that answered last is asked first: the others would keep every new connection waiting.
    preferred: Arc<AtomicUsize>,
}

impl Servers {
    /// Connects to nothing yet.
    pub fn new(url: PostgresUrl) -> Self {
        Self { url: Arc::new(url), preferred: Arc::default() }
    }

    /// A connection to the first server that answers and that `prepare` takes.
    pub(super) fn connect(
        &self,
        prepare: impl Fn(&mut PgConnection) -> QueryResult<()>,
    ) -> ConnectionResult<PgConnection> {
        let opened = self.first(|connect| {
            let mut connection = connect()?;
            let prepared = prepare(&mut connection).map_err(|error| ConnectionError::BadConnection(error.to_string()));
            prepared.map(|()| connection)
        });
        opened.map_err(ConnectionError::BadConnection)
    }

    /// A connection to the first server that answers and that can keep a ledger, each within a bound.
    pub(super) fn look(&self) -> Result<PgConnection, LedgerError> {
        // Two connections are made.
        let bound = LOOK_WAIT.saturating_add(self.url.connect_timeout().saturating_mul(2));
        let looked = self.first(|connect| within(bound, move || look(&connect)));
        looked.map_err(LedgerError::Unreachable)
    }

    /// The first server that `open` opens; why none was.
    fn first<T, E: ToString>(&self, open: impl Fn(Connect) -> Result<T, E>) -> Result<T, String> {
        let servers = self.url.connection_strings();
        let start = self.preferred.load(Ordering::Relaxed);
        let mut faults: Vec<String> = Vec::new();
        for number in (0..servers.len()).map(|step| (start + step) % servers.len().max(1)) {
            let Some(server) = servers.get(number).cloned() else { continue };
            match open(Box::new(move || PgConnection::establish(&server))) {
                Ok(opened) => {
                    self.preferred.store(number, Ordering::Relaxed);
                    return Ok(opened);
                }
                Err(error) => faults.push(self.url.scrub(error.to_string().trim())),
            }
        }
        faults.dedup();
        Err(faults.join("; "))
    }
}

type Connect = Box<dyn Fn() -> ConnectionResult<PgConnection> + Send>;

/// Runs `step` on a thread of its own, and waits for it no longer than this. The driver itself waits for ever: a step that
/// is never answered keeps its thread, and the connection with it.
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

/// Asks a server what it is, before anything is changed there.
fn look(connect: &Connect) -> Result<PgConnection, LedgerError> {
    let mut connection = connect().map_err(unfit)?;
    let found: Server =
        sql_query("SELECT current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby")
            .get_result(&mut connection)?;
    if found.standby {
        return Err(LedgerError::Unfit("the server is a standby: name the primary, too".to_owned()));
    }
    if found.encoding != "UTF8" {
        return Err(LedgerError::Unfit(format!(
            "the database's encoding is {}, but must be UTF8: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE \
             template0",
            found.encoding
        )));
    }
    if is_shared(&mut connection, &mut connect().map_err(unfit)?)? {
        return Err(LedgerError::Unfit(
            "a pooler stands before the server and gives each transaction another connection, but sessiond sets up its \
             own: use pool_mode = session (PgBouncer), or name the server itself"
                .to_owned(),
        ));
    }
    Ok(connection)
}

fn unfit(error: ConnectionError) -> LedgerError {
    LedgerError::Unfit(error.to_string())
}

#[derive(QueryableByName)]
struct Server {
    #[diesel(sql_type = Text)]
    encoding: String,
    #[diesel(sql_type = Bool)]
    standby: bool,
}

/// Whether two connections share what is behind them: one gets what the other has just used, or loses it to whoever is in
/// a transaction.
fn is_shared(one: &mut PgConnection, other: &mut PgConnection) -> QueryResult<bool> {
    let own = process(one)?;
    other.batch_execute("BEGIN")?;
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
