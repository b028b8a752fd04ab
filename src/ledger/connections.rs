//! Connections: the idle connections of one pool.
//!
//! Owns the generation, which all pools of one database share, and the server that this node has a lease on: a
//! connection to another server, such as a primary that was replaced, is not lent. A call that exceeds its time limit ends the generation:
//! connections of that generation are not lent again, because their server may be frozen, or no longer the primary when
//! it wakes. A failed call makes all of them suspect: the server may have closed the others, too. The pool limits how
//! many are lent at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::db::{Database, Db, Purpose};
use super::error::LedgerError;
use super::timeline;
use crate::domain::{Clock, SystemClock};

/// A connection that answered this recently is lent without a check.
const SURELY_ALIVE: Duration = Duration::from_secs(1);
/// The memory that a server keeps for a connection grows with its age.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 60);

/// Why a new connection is not used.
const ELSEWHERE: &str = "it leads to another server than the one under this node's lease";

/// A connection, when it was opened, and when it last did a call.
struct Pooled {
    db: Db,
    /// The server that it leads to, once somebody had to know.
    server: Option<String>,
    generation: u64,
    opened: Duration,
    answered: Option<Answered>,
}

/// When a connection answered, and how many calls of all connections had failed by then.
struct Answered {
    at: Duration,
    failures: u64,
}

/// The current generation, and the number of failed calls, for all pools of one database.
#[derive(Clone, Default)]
pub(super) struct Generation(Arc<Counters>);

#[derive(Default)]
struct Counters {
    generation: AtomicU64,
    failures: AtomicU64,
    /// The server under this node's lease; none while the node needs no lease.
    leased: Mutex<Option<Arc<str>>>,
}

impl Generation {
    pub(super) fn now(&self) -> u64 {
        self.0.generation.load(Ordering::SeqCst)
    }

    /// Ends this generation, unless it has ended already.
    pub(super) fn end(&self, generation: u64) {
        let _begun = self.0.generation.compare_exchange(
            generation,
            generation.wrapping_add(1),
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
    }

    /// From now on only connections to this server are lent.
    pub(super) fn lease(&self, server: &str) {
        let mut leased = self.0.leased.lock();
        if leased.as_deref() != Some(server) {
            *leased = Some(server.into());
        }
    }

    fn leased(&self) -> Option<Arc<str>> {
        self.0.leased.lock().clone()
    }

    fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::SeqCst)
    }

    fn note_failure(&self) {
        self.0.failures.fetch_add(1, Ordering::SeqCst);
    }
}

/// The connections of one pool.
pub(super) struct Connections {
    database: Database,
    purpose: Purpose,
    statements: Arc<AtomicU64>,
    clock: SystemClock,
    generation: Generation,
    /// The last used one is lent first.
    idle: Mutex<Vec<Pooled>>,
}

impl Connections {
    /// A pool without connections.
    pub(super) fn new(
        database: Database,
        purpose: Purpose,
        statements: Arc<AtomicU64>,
        generation: Generation,
    ) -> Self {
        Self { database, purpose, statements, clock: SystemClock::new(), generation, idle: Mutex::default() }
    }

    /// Lends a connection to `body`; blocks. An error leaves the connection suspect: diesel does not detect that the
    /// PostgreSQL server has closed it, and a connection in constant use would never be checked. If the caller has
    /// given up before there is a connection, `body` does not start.
    pub(super) fn lend<T>(
        &self,
        is_awaited: impl Fn() -> bool,
        body: impl FnOnce(&mut Db) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let leased = self.leased();
        let mut pooled = match self.take(leased.as_deref()) {
            Some(pooled) => pooled,
            None => self.open_to(leased.as_deref())?,
        };
        // Read before the answer: a failure meanwhile makes this connection suspect, too.
        let failures = self.generation.failures();
        let mut answer =
            if is_awaited() { body(&mut pooled.db) } else { Err(LedgerError::Busy("no connection in time")) };
        // The lease may have moved meanwhile: under the new one, an answer of the old server counts for nothing.
        if self.purpose.is_read() && answer.is_ok() && !leads_to(&mut pooled, self.leased().as_deref()) {
            answer = Err(LedgerError::Unreachable(ELSEWHERE.to_owned()));
        }
        let now = self.clock.monotonic();
        pooled.answered = answer.is_ok().then_some(Answered { at: now, failures });
        if matches!(answer, Err(LedgerError::Unavailable(_))) {
            self.generation.note_failure();
        }
        if now.saturating_sub(pooled.opened) < LONGEST_LIFE && self.is_of_now(&pooled) && !pooled.db.is_broken() {
            self.idle.lock().push(pooled);
        }
        answer
    }

    /// The server that every connection but the lease's own must lead to; none while the node needs no lease.
    fn leased(&self) -> Option<Arc<str>> {
        self.generation.leased().filter(|_| self.purpose != Purpose::Lease)
    }

    fn open(&self) -> Result<Pooled, LedgerError> {
        let statements = Arc::clone(&self.statements);
        let counted = move || {
            statements.fetch_add(1, Ordering::Relaxed);
        };
        let db = self.database.open(self.purpose, counted).map_err(|error| {
            self.generation.note_failure();
            LedgerError::Unreachable(error.to_string())
        })?;
        let (generation, opened) = (self.generation.now(), self.clock.monotonic());
        Ok(Pooled { db, server: None, generation, opened, answered: None })
    }

    /// A new connection to this server. The address may lead to several: after a failover, to an old primary, too.
    fn open_to(&self, leased: Option<&str>) -> Result<Pooled, LedgerError> {
        let mut pooled = self.open()?;
        match leads_to(&mut pooled, leased) {
            true => Ok(pooled),
            false => Err(LedgerError::Unreachable(ELSEWHERE.to_owned())),
        }
    }

    /// An idle connection that answers. The check costs a round trip, and saves the first query after a server restart.
    fn take(&self, leased: Option<&str>) -> Option<Pooled> {
        loop {
            let mut pooled = self.idle.lock().pop()?;
            let is_alive = self.is_of_now(&pooled) && (self.is_surely_alive(&pooled) || pooled.db.answers());
            if is_alive && leads_to(&mut pooled, leased) {
                return Some(pooled);
            }
        }
    }

    fn is_surely_alive(&self, pooled: &Pooled) -> bool {
        let Some(answered) = &pooled.answered else { return false };
        let since = self.clock.monotonic().saturating_sub(answered.at);
        since < SURELY_ALIVE && answered.failures == self.generation.failures()
    }

    fn is_of_now(&self, pooled: &Pooled) -> bool {
        pooled.generation == self.generation.now()
    }
}

/// Whether a connection leads to the server under this node's lease. It leads to one server as long as it lives.
fn leads_to(pooled: &mut Pooled, leased: Option<&str>) -> bool {
    let Some(leased) = leased else { return true };
    if pooled.server.is_none() {
        pooled.server = timeline::server(&mut pooled.db).ok();
    }
    pooled.server.as_deref() == Some(leased)
}
