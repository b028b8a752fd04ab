//! Touch: a session was used.
//!
//! Owns the path of a last-seen time into the record, at once but outside the request's latency, and into the ledger,
//! in batches and at most [`session::ledger_lag`] later, so that a loss of all Redis data logs no user out. Must never
//! revive a session: every write here changes a live session, or nothing.

use std::net::IpAddr;
use std::time::Duration;

use crate::domain::{Timestamp, session};
use crate::ledger::{LedgerError, last_seen};
use crate::live::SeenRecord;
use crate::service::check::Check;
use crate::service::core::checked::Checked;
use crate::service::core::last_seen_buffer::UnwrittenUse;
use crate::service::core::unavailable::Unavailable;

/// How soon the ledger learns of a session's first use: late enough that a page's burst of requests is one use.
const FIRST_USE: Duration = Duration::from_secs(1);
/// Rows written in one transaction.
const BATCH: usize = 256;

impl Check {
    /// Buffers a use and updates the record, outside the request's latency. `used_at` is now, or the previous last-seen
    /// time.
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
            // Soon, so that a row without any use can be trusted.
            FIRST_USE
        } else {
            // Half the lag: the other half is for a ledger that does not answer at once.
            session::ledger_lag(idle) / 2
        };
        let note = UnwrittenUse { seen_at: used_at, ip, due: self.core.clock().monotonic().saturating_add(delay) };
        let resolution = session::resolution(self.core.policy.last_seen_resolution, idle);
        let is_news = buffer.note(checked.session, note, resolution);
        // After the buffer: a reader of address changes finds the use there.
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

    /// Writes the due uses into the ledger. What the ledger does not take stays in the buffer.
    pub(in crate::service) async fn flush_last_seen(&self, everything: bool) -> Result<(), Unavailable> {
        let now = if everything { Duration::MAX } else { self.core.clock().monotonic() };
        let due = self.core.last_seen.take_due(now);
        for (told, batch) in due.chunks(BATCH).enumerate() {
            let uses: Vec<_> = batch.iter().map(|(id, note)| (*id, note.seen_at, note.ip)).collect();
            let room = self.clone();
            let written = self.core.ledger.write_aside(move |db| {
                // No time is later than SQL's clock, in case that clock was set back.
                let now = room.fence.ledger_now(db)?;
                let uses: Vec<_> = uses.iter().map(|(id, seen_at, ip)| (*id, now.min(*seen_at), *ip)).collect();
                last_seen::tell(db, &uses, &|ip| room.core.place(ip))
            });
            if let Err(error) = written.await {
                // A locked row must not delay all others.
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
