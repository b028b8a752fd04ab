//! Risk watch: background tasks that reload changed location files, judge sessions with a new address, and check all
//! live sessions in turn.
//!
//! Owns these tasks. Each reads a bounded number of rows at a time and delays no request. The rounds find what sign-ins
//! and address changes cannot: sessions from before a location file, or from a node that died with changes in its
//! queue.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::risk::{Assessment, News, Sighting};
use crate::domain::{Timestamp, UserId};
use crate::ledger::session_location::{self, SessionLocation};
use crate::ledger::users::User;
use crate::ledger::{alerts, locks};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::log_on_change::{LogOnChange, stopped};
use crate::service::core::unavailable::Unavailable;
use crate::service::jobs::Jobs;
use crate::service::risk::address_changes::{AddressChange, Destination};
use crate::service::risk::judge::HISTORY;

/// How often location files are checked for changes.
const FILES_EVERY: Duration = Duration::from_secs(2);
/// How often one part of the live sessions is checked.
const PART_EVERY: Duration = Duration::from_secs(5);
/// Sessions in one part: a million take some 80 minutes.
const PART: i64 = 1_000;
/// The user's newest alerts, to find an earlier one about the same incident.
const ALERTS: i64 = 50;
/// The milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

impl Jobs {
    pub(in crate::service) async fn keep_files(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !stopped(&mut stop, FILES_EVERY).await {
            let Some(locator) = self.core.locator.clone() else { return };
            if tokio::task::spawn_blocking(move || locator.reload()).await.is_err() {
                log::error!("reloading a location file failed unexpectedly");
            }
        }
    }

    pub(in crate::service) async fn follow_moves(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut log_on_change = LogOnChange::default();
        loop {
            let address_changes = tokio::select! {
                address_changes = self.risk.address_changes.take() => address_changes,
                _ = stop.changed() => return,
            };
            for moved in address_changes {
                log_on_change.about("assessing sessions that changed address", self.follow(moved).await.err());
                if *stop.borrow() {
                    return;
                }
            }
        }
    }

    /// Judges a session that was used from a new address, if the country or network changed.
    async fn follow(&self, moved: AddressChange) -> Result<(), Unavailable> {
        let sighting = |(ip, at): (IpAddr, Timestamp)| {
            let place = self.core.place(ip);
            Sighting { session: moved.session, place, at }
        };
        let (before, now) = (sighting(moved.from), sighting(moved.to));
        if before.place.country == now.place.country && before.place.asn == now.place.asn {
            return Ok(());
        }
        // A search for sessions by location asks the ledger.
        self.core.last_seen.make_due(moved.session);
        let hour = now.at.ms().div_euclid(HOUR_MS);
        let destination: Destination = (now.place.country.clone(), now.place.asn, hour);
        if !self.risk.address_changes.is_new(moved.session, destination.clone()) {
            return Ok(());
        }
        let judged = self.judge_move(moved.user, &before, &now).await;
        if judged.is_err() {
            self.risk.address_changes.forget(moved.session, destination);
        }
        judged
    }

    async fn judge_move(&self, user: UserId, before: &Sighting, now: &Sighting) -> Result<(), Unavailable> {
        let rows = self.core.ledger.read(move |db| {
            Ok((session_location::history(db, user, HISTORY)?, session_location::unended(db, user, HISTORY)?))
        });
        let (history, unended) = rows.await?;
        let live = self.risk.alive(&unended, self.core.clock().now());
        let past: Vec<_> = history.into_iter().map(|row| self.risk.past(row)).collect();
        // The session may have ended meanwhile.
        if live.iter().all(|session| session.session != now.session) {
            return Ok(());
        }
        let found = self.core.policy.risk.judge_move(now, before, &past, &live);
        self.settle_later(user, found).await
    }

    /// Checks all live sessions, a part at a time, and starts over at the end.
    pub(in crate::service) async fn make_rounds(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (mut log_on_change, mut after) = (LogOnChange::default(), None);
        while !stopped(&mut stop, PART_EVERY).await {
            let looked = self.look_at_part(after).await;
            // A part that cannot be read now is read at the next turn.
            after = looked.as_ref().map_or(after, |last| *last);
            log_on_change.about("assessing live sessions", looked.err());
        }
    }

    /// The last user of the part; none when it was the last part.
    async fn look_at_part(&self, after: Option<UserId>) -> Result<Option<UserId>, Unavailable> {
        let rows = self.core.ledger.read(move |db| session_location::page(db, after, PART)).await?;
        let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < PART);
        let mut users: Vec<&[SessionLocation]> = rows.chunk_by(|one, next| one.user == next.user).collect();
        // The last user may continue in the next part, unless the part holds only that user.
        if !is_last && users.len() > 1 {
            users.pop();
        }
        for sessions in &users {
            let found = self.core.policy.risk.judge_live(&self.risk.alive(sessions, self.core.clock().now()));
            if let Some(first) = sessions.first() {
                self.settle_later(first.user, found).await?;
            }
        }
        let last = users.last().and_then(|sessions| sessions.first()).map(|session| session.user);
        Ok(last.filter(|_| !is_last))
    }

    /// Settles an assessment of live sessions in its own transaction, if there is something to write.
    async fn settle_later(&self, user: UserId, found: Assessment) -> Result<(), Unavailable> {
        if found.is_empty() {
            return Ok(());
        }
        if self.core.policy.risk.is_alarming(&found) {
            let known = self.core.ledger.read(move |db| alerts::of_user(db, user, ALERTS)).await?;
            if matches!(found.news(&known), News::Known) {
                return Ok(());
            }
        } else if found.core.len() > 1 {
            // A lasting assessment below an alert is not written in each round.
            return Ok(());
        }
        let room = self.clone();
        let records = self.core.write(move |db| {
            // The assessment was read earlier: the account may have been deleted since.
            let locked = locks::users(db, &[user])?;
            if locked.user(user).is_none_or(User::is_deleted) {
                return Ok(Vec::new());
            }
            let server = AuditContext::server(None);
            room.risk.settle(db, &locked, user, &found, &server)
        });
        let records = records.await?;
        self.sessions
            .invalidate(&records)
            .await
            .unwrap_or_else(|error| log::info!("invalidation left to the sweeper: {error}"));
        Ok(())
    }
}
