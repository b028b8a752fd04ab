//! Fill: what happens when Redis did not say yes.
//!
//! Owns the order lease → ledger → record. The lease takes the record's place before the ledger is read, and the record
//! replaces only that very lease: a revocation deletes the lease, so an answer that was read before the revocation
//! cannot be stored after it (invariant 1).

use std::net::IpAddr;

use tokio::sync::watch;

use crate::domain::{Nonce, Timestamp, TokenHash};
use crate::ledger::sessions;
use crate::live::{Doubt, Lease, NewRecord, Taken};
use crate::service::check::devices::mark_of;
use crate::service::check::single_flight::{self, Role};
use crate::service::check::{Answer, Check};
use crate::service::core::checked::{Activity, Checked};
use crate::service::core::unavailable::Unavailable;

/// The state of a fill before it reads the ledger.
struct Ground {
    lease: Option<Lease>,
    /// The last-seen time of a record that was idle for too long; then the ledger gets no benefit of the doubt.
    stale_last_seen: Option<Timestamp>,
}

impl Check {
    /// Asks the ledger about a token and leaves a record where Redis allows it. `doubt` is what Redis showed, none when
    /// it showed nothing; `used` is the client's address, and whether the request counts as a use.
    pub(in crate::service) async fn fill(
        &self,
        token_hash: TokenHash,
        doubt: Option<Doubt>,
        used: (Option<IpAddr>, Activity),
    ) -> Answer {
        let answered = match self.single_flight.join(token_hash) {
            Role::Joined(answered) => answered,
            Role::Leader(leader, answered) => {
                let room = self.clone();
                // A separate task: a client that hangs up must not cancel the answer for requests that joined.
                tokio::spawn(async move {
                    let (window, answer) = leader.split();
                    let found = room.ask_ledger(token_hash, doubt, used, window).await;
                    answer.send_replace(Some(found));
                });
                answered
            }
        };
        wait(answered).await
    }

    async fn ask_ledger(
        &self,
        token_hash: TokenHash,
        doubt: Option<Doubt>,
        used: (Option<IpAddr>, Activity),
        window: single_flight::JoinWindow<Answer>,
    ) -> Answer {
        // A record that was idle for too long proves that: it stays in place unless the ledger knows better. A lease in
        // its place would leave the next request with the ledger's word, which may be a minute generous.
        let rested = doubt.as_ref().and_then(|doubt| doubt.stale.as_ref()).map(|record| record.last_seen);
        if rested.is_some() {
            let row = self.core.ledger.read(move |db| sessions::find_live(db, &token_hash)).await?;
            if row.and_then(|row| self.judge(token_hash, row, rested)).is_none() {
                return Ok(None);
            }
        }
        let ground = self.take(&token_hash, doubt).await;
        let row =
            self.core.ledger.read_noting(move || drop(window), move |db| sessions::find_live(db, &token_hash)).await?;
        let mut found = row.and_then(|row| self.judge(token_hash, row, ground.stale_last_seen));
        if found.is_none() && self.core.live.is_none() {
            // A use may have moved from the last-seen buffer into the row between the two reads.
            let row = self.core.ledger.read(move |db| sessions::find_live(db, &token_hash)).await?;
            found = row.and_then(|row| self.judge(token_hash, row, None));
        }
        let Some(checked) = found else { return Ok(None) };
        if let Some(lease) = ground.lease {
            self.put(&checked, lease, used).await;
        }
        Ok(Some(checked))
    }

    /// Takes a lease where Redis allows it. A record that appears there meanwhile is no answer: the join window is
    /// open, and a request may have joined after that record was read and a revocation answered.
    async fn take(&self, token_hash: &TokenHash, doubt: Option<Doubt>) -> Ground {
        let (Some(live), Some(doubt)) = (&self.core.live, doubt) else {
            return Ground { lease: None, stale_last_seen: None };
        };
        let stale_last_seen = doubt.stale.as_ref().map(|record| record.last_seen);
        let nonce = Nonce::generate(self.core.random());
        match live.take(token_hash, nonce, &doubt).await {
            Ok(Taken::Lease(lease)) => Ground { lease: Some(lease), stale_last_seen },
            Ok(Taken::Record(seen)) => Ground { lease: None, stale_last_seen: Some(seen.record.last_seen) },
            Ok(Taken::Busy) => Ground { lease: None, stale_last_seen },
            Err(error) => {
                log::debug!("Redis gave no lease: {error}");
                Ground { lease: None, stale_last_seen }
            }
        }
    }

    /// Whether a row that was not ended is live now, by the latest last-seen time that is known.
    fn judge(&self, token_hash: TokenHash, row: sessions::LiveSession, stale: Option<Timestamp>) -> Option<Checked> {
        let mut deadlines = row.deadlines;
        let noted = self.core.last_seen.noted(row.id);
        deadlines.last_seen = [Some(deadlines.last_seen), stale, noted].into_iter().flatten().max()?;
        // Exact sources: a ledger without records in front of it, a record that is still there, and a row without any
        // use.
        let unused = deadlines.last_seen <= row.id.made_at();
        let exact = self.core.live.is_none() || stale.is_some() || unused;
        let now = self.core.clock().now();
        let deadlines = deadlines.as_of(now);
        let alive = if exact { deadlines.hold(now) } else { deadlines.hold_with_lag(now) };
        alive.then_some(Checked {
            session: row.id,
            user: row.user_id,
            token_hash,
            deadlines,
            ip: row.last_ip,
            has_data: row.has_data,
            device: mark_of(row.user_agent.as_deref()),
            proven_at: row.proof.counting(now),
            acting: row.acting.map(|acting| Box::new(acting.party)),
        })
    }

    /// Leaves a record for the next check, with this use in it.
    async fn put(&self, checked: &Checked, lease: Lease, used: (Option<IpAddr>, Activity)) {
        let Some(live) = &self.core.live else { return };
        let now = self.core.clock().now();
        let configured = self.core.policy.last_seen_resolution;
        let (from, activity) = used;
        let used_at = checked.use_to_write(activity, now, from, configured);
        let record = NewRecord {
            session: checked.session,
            user: checked.user,
            last_seen: used_at.unwrap_or(checked.deadlines.last_seen),
            expires: checked.deadlines.expires,
            idle: checked.deadlines.idle,
            has_data: checked.has_data,
            device: checked.device,
            proven_at: checked.proven_at,
            ip: used_at.and(from).unwrap_or(checked.ip),
            acting: checked.acting.clone(),
        };
        // The answer is the same whether or not the record was stored: a revocation may have been faster.
        if let Err(error) = live.put(lease, &record, now).await {
            log::debug!("Redis stored no record: {error}");
        }
    }
}

async fn wait(mut answered: watch::Receiver<Option<Answer>>) -> Answer {
    let answer = answered.wait_for(Option::is_some).await;
    let answer = answer.ok().and_then(|answer| answer.clone());
    answer.unwrap_or_else(|| Err(Unavailable::Store("the question to the ledger was dropped".to_owned())))
}
