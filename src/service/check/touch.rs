//! Touch: a session was used.
//!
//! Owns the way of a last-seen time into the record, at once and off the request's latency, and into the ledger, in
//! batches and at most [`session::ledger_lag`] later, so that losing all of Redis logs nobody out. Must never bring
//! a session back: every write here changes what is live, or nothing.

use std::net::IpAddr;
use std::time::Duration;

use crate::domain::{Timestamp, session};
use crate::ledger::{LedgerError, last_seen};
use crate::live::SeenRecord;
use crate::service::check::Check;
use crate::service::core::checked::Checked;
use crate::service::core::last_seen_buffer::UnwrittenUse;
use crate::service::core::unavailable::Unavailable;

/// How soon the ledger is told of a session's first use: long enough for a page's burst of requests to be one use.
const FIRST_USE: Duration = Duration::from_secs(1);
/// Rows written in one transaction.
const BATCH: usize = 256;

impl Check {
    /// Notes a use and tells the record, off the request's latency. `used_at` is now, or what the last-seen time was.
    pub(in crate::service) fn touch(
        &self,
        checked: &Checked,
        seen: Option<SeenRecord>,
        used_at: Timestamp,
        now: Timestamp,
        ip: IpAddr,
    ) {
        let buffer = &self.core.last_seen;
        let idle = checked.deadlines.idle;
        let delay = if !buffer.has_records {
            Duration::ZERO
        } else if checked.is_unused() {
            // Soon, so that a row which knows of no use can be taken at its word.
            FIRST_USE
        } else {
            // Half the lag: the other half is for a ledger that does not answer at once.
            session::ledger_lag(idle) / 2
        };
        let note = UnwrittenUse { seen_at: used_at, ip, due: self.core.clock().monotonic().saturating_add(delay) };
        let resolution = session::resolution(self.core.policy.last_seen_resolution, idle);
        let is_news = buffer.note(checked.session, note, resolution);
        // After the note: whoever follows a move has it told at once.
        self.risk.note_move(checked, now, ip);
        if !is_news {
            return;
        }
        if !buffer.has_records {
            buffer.call();
        }
        if let Some(seen) = seen {
            self.touch_record(seen, used_at, now, ip);
        }
    }

    fn touch_record(&self, seen: SeenRecord, used_at: Timestamp, now: Timestamp, ip: IpAddr) {
        let Some(live) = self.core.live.clone() else { return };
        let room = self.clone();
        tokio::spawn(async move {
            let session = seen.record.session;
            if let Err(error) = live.touch(&seen, used_at, ip, now).await {
                log::debug!("Redis refused a last-seen time, the ledger gets it at once: {error}");
                room.core.last_seen.make_due(session);
            }
        });
    }

    /// Tells the ledger what is due. What it does not take stays noted.
    pub(in crate::service) async fn flush_last_seen(&self, everything: bool) -> Result<(), Unavailable> {
        let now = if everything { Duration::MAX } else { self.core.clock().monotonic() };
        let due = self.core.last_seen.take_due(now);
        for (told, batch) in due.chunks(BATCH).enumerate() {
            let uses: Vec<_> = batch.iter().map(|(id, note)| (*id, note.seen_at, note.ip)).collect();
            let room = self.clone();
            let written = self.core.ledger.write_aside(move |db| {
                // None is later than SQL's clock, should that have been set back meanwhile.
                let now = room.fence.ledger_now(db)?;
                let uses: Vec<_> = uses.iter().map(|(id, seen_at, ip)| (*id, now.min(*seen_at), *ip)).collect();
                last_seen::tell(db, &uses, &|ip| room.core.place(ip))
            });
            if let Err(error) = written.await {
                // A row that somebody has locked is no reason to let everything else wait.
                if matches!(error, LedgerError::Unreachable(_) | LedgerError::Silent(_) | LedgerError::Busy(_)) {
                    self.core.last_seen.set_overdue(true);
                }
                self.core.last_seen.give_back(due.get(told * BATCH..).unwrap_or_default());
                return Err(error.into());
            }
            self.core.last_seen.told(batch);
        }
        self.core.last_seen.set_overdue(false);
        Ok(())
    }
}
