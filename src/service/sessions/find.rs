//! Find: administrators search the sessions of all users with a filter.
//!
//! Owns the meaning of "fits" after the ledger has found a row: the records and this node's last-seen buffer may know a
//! later use. Where neither can answer, a session may have been used as late as the ledger may lag. Must never read
//! more than a bounded number of rows for one page.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::session::{ledger_lag, resolution};
use crate::domain::{Filter, SessionId, Timestamp, UserId};
use crate::ledger::search::{self, Search};
use crate::ledger::sessions::Session;
use crate::ledger::users;
use crate::live::Record;
use crate::service::core::admin_views::SessionDetail;
use crate::service::core::last_use::signed_in;
use crate::service::core::unavailable::Unavailable;
use crate::service::sessions::Sessions;

/// How often one page asks the ledger: all rows of a round may be used since, or idle for too long.
const ROUNDS: usize = 5;

/// A session among those of many users.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FoundSession {
    /// The session.
    #[serde(flatten)]
    pub detail: SessionDetail,
    /// Its owner's address.
    #[schema(example = "ana@example.org")]
    pub user_email: String,
}

/// A page of results.
#[derive(Clone, Debug)]
pub struct FoundPage {
    /// Newest first. There can be fewer than asked for, even none, before the last page.
    pub sessions: Vec<FoundSession>,
    /// Where to continue, if there may be more.
    pub next: Option<SessionId>,
}

/// The requested page.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which sessions.
    pub filter: Filter,
    /// Only sessions older than this one.
    pub after: Option<SessionId>,
    /// The maximum number of sessions.
    pub limit: usize,
    /// The session that asks, to be marked.
    pub current: Option<SessionId>,
}

/// Rows that fit, with their records.
pub(in crate::service) struct Fitting {
    pub(in crate::service) rows: Vec<(Session, Option<Record>)>,
    pub(in crate::service) next: Option<SessionId>,
}

impl Sessions {
    /// A page of the live sessions that fit, newest first.
    pub async fn find_sessions(&self, wanted: Wanted) -> Result<FoundPage, Unavailable> {
        let current = wanted.current;
        let fitting = self.fitting(wanted.filter, wanted.after, wanted.limit).await?;
        let details: Vec<_> =
            fitting.rows.iter().map(|(row, record)| self.detail(row, record.as_ref(), current)).collect();
        let mut emails = self.emails(details.iter().map(|detail| detail.user_id)).await?;
        let with_email = |detail: SessionDetail| {
            let user_email = emails.get_mut(&detail.user_id).map(|email| email.clone()).unwrap_or_default();
            FoundSession { detail, user_email }
        };
        Ok(FoundPage { sessions: details.into_iter().map(with_email).collect(), next: fitting.next })
    }

    /// All live sessions of one user; none when there is no such user.
    pub async fn sessions_of_user(
        &self,
        user: UserId,
        current: Option<SessionId>,
    ) -> Result<Option<Vec<SessionDetail>>, Unavailable> {
        let found = self.core.ledger.read(move |db| users::find(db, user)).await?;
        if found.is_none_or(|user| user.is_deleted()) {
            return Ok(None);
        }
        let filter = Filter { user: Some(user), ..Filter::default() };
        let (mut details, mut after) = (Vec::new(), None);
        loop {
            // A user has at most this many live sessions; the operator sets the limit.
            let page = self.fitting(filter.clone(), after, self.core.policy.max_sessions.clamp(50, 1_000)).await?;
            details.extend(page.rows.iter().map(|(row, record)| self.detail(row, record.as_ref(), current)));
            after = page.next;
            if after.is_none() {
                return Ok(Some(details));
            }
        }
    }

    /// The rows that fit, by everything that this node knows now.
    pub(in crate::service) async fn fitting(
        &self,
        filter: Filter,
        mut after: Option<SessionId>,
        limit: usize,
    ) -> Result<Fitting, Unavailable> {
        let mut rows = Vec::new();
        for _ in 0..ROUNDS {
            let now = self.core.clock().now();
            let search = Search { filter: filter.clone(), after, now, limit: limit.saturating_sub(rows.len()) };
            let found = self.core.ledger.read(move |db| search::page(db, &search)).await?;
            let records = self.records_of(&found.sessions, now).await;
            let known = found.sessions.into_iter().zip(records);
            rows.extend(known.filter(|(row, record)| self.fits(&filter, row, record.as_ref(), now)));
            after = found.next;
            if after.is_none() || rows.len() >= limit {
                break;
            }
        }
        Ok(Fitting { rows, next: after })
    }

    async fn records_of(&self, rows: &[Session], now: Timestamp) -> Vec<Option<Record>> {
        let Some(live) = &self.core.live else { return vec![None; rows.len()] };
        let hashes: Vec<_> = rows.iter().map(|row| row.token_hash).collect();
        live.read_many(&hashes, now).await
    }

    /// Whether the session may be live, its last use matches the filter's times and address, and its present or sign-in
    /// location matches.
    fn fits(&self, filter: &Filter, row: &Session, record: Option<&Record>, now: Timestamp) -> bool {
        let mut deadlines = row.deadlines();
        let last = self.core.last_use(row, record);
        deadlines.last_seen = last.at.max(self.core.last_seen.noted(row.id).unwrap_or(Timestamp::from_ms(0)));
        let latest = match record {
            // A use is written once the last written one is this old.
            Some(_) => {
                let configured = self.core.policy.last_seen_resolution;
                deadlines.last_seen.plus(resolution(configured, deadlines.idle))
            }
            // No store can answer that would know of a use at once.
            None => deadlines.last_seen.plus(ledger_lag(deadlines.idle)),
        };
        deadlines.hold_with_lag(now)
            && filter.admits_use(deadlines.last_seen, latest, last.ip.parse().ok())
            && filter.admits_places(&[signed_in(row), last.place])
    }

    fn detail(&self, row: &Session, record: Option<&Record>, current: Option<SessionId>) -> SessionDetail {
        SessionDetail::new(row, self.core.last_use(row, record), current)
    }

    async fn emails(&self, of: impl Iterator<Item = UserId>) -> Result<HashMap<UserId, String>, Unavailable> {
        let mut ids: Vec<_> = of.collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(self.core.ledger.read(move |db| users::emails(db, &ids)).await?.into_iter().collect())
    }
}
