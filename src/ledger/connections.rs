//! The connections of one pool that wait to be lent again.
//!
//! Owns the era, which all pools of one database share. A call that is past its bound ends it: the connections of that era
//! are not lent any more, because the server at their other end may be frozen, or no longer the primary when it wakes. How
//! many are lent at once is the pool's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::db::{Database, Db, Purpose};
use super::error::LedgerError;
use crate::domain::{Clock, SystemClock};

/// A connection that answered so short a time ago is not asked whether it still does.
const SURELY_ALIVE: Duration = Duration::from_secs(1);
/// What a server keeps for a connection grows with its age.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 60);

/// A connection, when it was opened, and when it last did what it was asked.
struct Pooled {
    db: Db,
    era: u64,
    opened: Duration,
    answered: Option<Duration>,
}

/// Which era it is: of all pools of one database.
#[derive(Clone, Default)]
pub(super) struct Era(Arc<AtomicU64>);

impl Era {
    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Begins another one, unless that was done since.
    pub(super) fn end(&self, era: u64) {
        let _begun = self.0.compare_exchange(era, era.wrapping_add(1), Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// The connections of one pool.
pub(super) struct Connections {
    database: Database,
    purpose: Purpose,
    statements: Arc<AtomicU64>,
    clock: SystemClock,
    era: Era,
    /// The one that was used last is lent first.
    idle: Mutex<Vec<Pooled>>,
}

impl Connections {
    /// Opens none yet.
    pub(super) fn new(database: Database, purpose: Purpose, statements: Arc<AtomicU64>, era: Era) -> Self {
        Self { database, purpose, statements, clock: SystemClock::new(), era, idle: Mutex::default() }
    }

    /// Has `body` use a connection; blocks. What fails leaves it suspect: diesel does not know a PostgreSQL connection that
    /// the server has closed for broken, and one that is used again and again would never be asked. Where nobody waits for
    /// `body` any more when there is a connection at last, it is not begun.
    pub(super) fn lend<T>(
        &self,
        is_awaited: impl Fn() -> bool,
        body: impl FnOnce(&mut Db) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut pooled = self.take().map_or_else(|| self.open(), Ok)?;
        let answer = if is_awaited() { body(&mut pooled.db) } else { Err(LedgerError::Busy("no connection in time")) };
        let now = self.clock.monotonic();
        pooled.answered = answer.is_ok().then_some(now);
        if now.saturating_sub(pooled.opened) < LONGEST_LIFE && self.is_of_now(&pooled) && !pooled.db.is_broken() {
            self.lock().push(pooled);
        }
        answer
    }

    fn open(&self) -> Result<Pooled, LedgerError> {
        let statements = Arc::clone(&self.statements);
        let counted = move || {
            statements.fetch_add(1, Ordering::Relaxed);
        };
        let db = self.database.open(self.purpose, counted);
        let db = db.map_err(|error| LedgerError::Unreachable(error.to_string()))?;
        let opened = self.clock.monotonic();
        // However long that took: just now it has answered.
        Ok(Pooled { db, era: self.era.now(), opened, answered: Some(opened) })
    }

    /// One that answers. Asking costs a round trip, and spares the first question after the server was restarted.
    fn take(&self) -> Option<Pooled> {
        loop {
            let mut pooled = self.lock().pop()?;
            let since = pooled.answered.map(|then| self.clock.monotonic().saturating_sub(then));
            let is_alive = since.is_some_and(|since| since < SURELY_ALIVE);
            if self.is_of_now(&pooled) && (is_alive || pooled.db.answers()) {
                return Some(pooled);
            }
        }
    }

    fn is_of_now(&self, pooled: &Pooled) -> bool {
        pooled.era == self.era.now()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Pooled>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
