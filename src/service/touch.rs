//! Touch: a session was used.
//!
//! Owns the way of a last-seen time into the record, at once and off the request's latency, and into the ledger, in
//! batches and at most [`session::ledger_lag`] later, so that losing all of Redis logs nobody out. Must never bring
//! a session back: every write here changes what is live, or nothing.

use std::net::IpAddr;
use std::time::Duration;

use super::notes::Note;
use super::{App, Checked, Unavailable};
use crate::domain::{Timestamp, session};
use crate::ledger::{Db, LedgerError, last_seen};
use crate::live::SeenRecord;

/// How soon the ledger is told of a session's first use: long enough for a page's burst of requests to be one use.
const FIRST_USE: Duration = Duration::from_secs(1);
/// How long other writes wait for last-seen times that are overdue.
const OVERDUE_WAIT: Duration = Duration::from_secs(2);
/// What other writes are told meanwhile.
const OVERDUE_FIRST: LedgerError = LedgerError::Silent("last-seen times that are overdue are not written yet");
/// Rows written in one transaction.
const BATCH: usize = 256;

impl App {
    /// Notes a use and tells the record, off the request's latency. `used_at` is now, or what the last-seen time was.
    pub(super) fn touch(
        &self,
        checked: &Checked,
        seen: Option<SeenRecord>,
        used_at: Timestamp,
        now: Timestamp,
        ip: IpAddr,
    ) {
        let notes = &self.shared.last_seen;
        let idle = checked.deadlines.idle;
        let delay = if !notes.has_records {
            Duration::ZERO
        } else if checked.is_unused() {
            // Soon, so that a row which knows of no use can be taken at its word.
            FIRST_USE
        } else {
            // Half the lag: the other half is for a ledger that does not answer at once.
            session::ledger_lag(idle) / 2
        };
        let note = Note { seen_at: used_at, ip, due: self.clock().monotonic().saturating_add(delay) };
        let resolution = session::resolution(self.shared.policy.last_seen_resolution, idle);
        let is_news = notes.note(checked.session, note, resolution);
        // After the note: whoever follows a move has it told at once.
        self.note_move(checked, now, ip);
        if !is_news {
            return;
        }
        if !notes.has_records {
            notes.call();
        }
        if let Some(seen) = seen {
            self.touch_record(seen, used_at, now, ip);
        }
    }

    fn touch_record(&self, seen: SeenRecord, used_at: Timestamp, now: Timestamp, ip: IpAddr) {
        let Some(live) = self.live.clone() else { return };
        let app = self.clone();
        tokio::spawn(async move {
            let session = seen.record.session;
            if let Err(error) = live.touch(&seen, used_at, ip, now).await {
                log::debug!("Redis refused a last-seen time, the ledger gets it at once: {error}");
                app.shared.last_seen.make_due(session);
            }
        });
    }

    /// Tells the ledger what is due. What it does not take stays noted.
    pub(super) async fn flush_last_seen(&self, everything: bool) -> Result<(), Unavailable> {
        let now = if everything { Duration::MAX } else { self.clock().monotonic() };
        let due = self.shared.last_seen.take_due(now);
        for (told, batch) in due.chunks(BATCH).enumerate() {
            let uses: Vec<_> = batch.iter().map(|(id, note)| (*id, note.seen_at, note.ip)).collect();
            let app = self.clone();
            let written = self.shared.ledger.write_aside(move |db| {
                // None is later than SQL's clock, should that have been set back meanwhile.
                let now = app.ledger_now(db)?;
                let uses: Vec<_> = uses.iter().map(|(id, seen_at, ip)| (*id, now.min(*seen_at), *ip)).collect();
                last_seen::tell(db, &uses, &|ip| app.shared.place(ip))
            });
            if let Err(error) = written.await {
                // A row that somebody has locked is no reason to let everything else wait.
                if matches!(error, LedgerError::Unreachable(_) | LedgerError::Silent(_) | LedgerError::Busy(_)) {
                    self.shared.last_seen.set_overdue(true);
                }
                self.shared.last_seen.give_back(due.get(told * BATCH..).unwrap_or_default());
                return Err(error.into());
            }
            self.shared.last_seen.told(batch);
        }
        self.shared.last_seen.set_overdue(false);
        Ok(())
    }

    /// Runs one transaction in the ledger, but none before last-seen times that are overdue because the ledger was
    /// away: until they are written, another node that has lost Redis would take a session in use for one that rested.
    pub(super) async fn write<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        if !self.shared.last_seen.until_told(OVERDUE_WAIT).await {
            return Err(OVERDUE_FIRST);
        }
        let app = self.clone();
        // Once more when its turn has come: it may have waited since before the ledger went away.
        let in_turn = move |db: &mut Db| if app.shared.last_seen.overdue() { Err(OVERDUE_FIRST) } else { body(db) };
        let written = self.shared.ledger.write(in_turn).await;
        if let Some(outlet) = &self.shared.outlet {
            outlet.committed();
        }
        written
    }
}
