//! Find: sessions that fit a filter, whoever's they are, for administrators.
//!
//! Owns what "fits" means once the ledger has found a row: the records and this node's own notes may know a later use.
//! Where nobody does, a session may have been used as late as the ledger may lag. Must never look at more than a
//! bounded number of rows for one page.

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

/// How often the ledger is asked for one page: what it finds may all have been used, or rested too long.
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

/// A page of what was found.
#[derive(Clone, Debug)]
pub struct FoundPage {
    /// Newest first. There can be fewer than asked for, even none, before the last page.
    pub sessions: Vec<FoundSession>,
    /// Where to go on, if there may be more.
    pub next: Option<SessionId>,
}

/// Which page.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which sessions.
    pub filter: Filter,
    /// Only those that are older than this one.
    pub after: Option<SessionId>,
    /// Most sessions.
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
            // A user has at most so many live sessions; the limit is the operator's.
            let page = self.fitting(filter.clone(), after, self.core.policy.max_sessions.clamp(50, 1_000)).await?;
            details.extend(page.rows.iter().map(|(row, record)| self.detail(row, record.as_ref(), current)));
            after = page.next;
            if after.is_none() {
                return Ok(Some(details));
            }
        }
    }

    /// Rows that fit by all that is known at this moment.
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

    /// Whether it may be alive, was used when and from which address the filter says, and is or was signed in where it says.
    fn fits(&self, filter: &Filter, row: &Session, record: Option<&Record>, now: Timestamp) -> bool {
        let mut deadlines = row.deadlines();
        let last = self.core.last_use(row, record);
        deadlines.last_seen = last.at.max(self.core.last_seen.noted(row.id).unwrap_or(Timestamp::from_ms(0)));
        let latest = match record {
            // A use is written when the last one that was is so old.
            Some(_) => {
                let configured = self.core.policy.last_seen_resolution;
                deadlines.last_seen.plus(resolution(configured, deadlines.idle))
            }
            // Nobody who would be told of a use at once can be asked.
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
