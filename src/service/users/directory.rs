//! Directory: administrators search users, and see one user with all sessions.
//!
//! Owns these views. Changes nothing; [`super::admin`] and [`super::delete`] do.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::domain::{SessionId, UserId, search};
use crate::ledger::user_search::{self, After};
use crate::ledger::users::{self, User};
use crate::ledger::{Db, LedgerError, session_history};
use crate::service::core::admin_views::{EndedSessionView, SessionDetail, UserDetail};
use crate::service::core::page::cut;
use crate::service::core::unavailable::Unavailable;
use crate::service::core::views::{UserRow, UserView};
use crate::service::users::Users;

/// Sessions shown in a user's history.
const HISTORY: usize = 50;

/// Where the next page of users begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserPosition {
    /// After the account with this normalised address: in the list of all accounts.
    Address(String),
    /// After this account, found by this name: in the results of a query.
    Name(Vec<u8>, UserId),
}

impl Users {
    /// A page of users: all in the order of their addresses, or those that the query finds, by the beginning of their
    /// address, a part of it, its host, their name or a word of it. None: the position does not belong to this list.
    pub async fn find_users(
        &self,
        query: &str,
        after: Option<UserPosition>,
        limit: usize,
    ) -> Result<Option<(Vec<UserRow>, Option<UserPosition>)>, Unavailable> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (room, prefix) = (self.clone(), search::prefix(query));
        let page = self.core.ledger.read(move |db| {
            let (users, last) = match (prefix, after) {
                (None, None) => addressed(db, None, limit)?,
                (None, Some(UserPosition::Address(key))) => addressed(db, Some(&key), limit)?,
                (Some(prefix), None) => named(db, &prefix, None, limit)?,
                // A position of another query's list would look like the end of this one.
                (Some(prefix), Some(UserPosition::Name(name, user))) if name.starts_with(prefix.as_bytes()) => {
                    named(db, &prefix, Some(&After { name, user }), limit)?
                }
                _ => return Ok(None),
            };
            Ok(Some((room.user_rows(db, &users)?, last)))
        });
        Ok(page.await?)
    }

    /// A user with live and ended sessions; `current` is the session that asks, if it is one.
    pub async fn user_detail(&self, id: UserId, current: Option<SessionId>) -> Result<Option<UserDetail>, Unavailable> {
        let Some(user) = self.find_user_by_id(id).await? else { return Ok(None) };
        let live = self.sessions.known_sessions(id, current).await?;
        let most = i64::try_from(HISTORY + live.len()).unwrap_or(i64::MAX);
        let over = self.core.ledger.read(move |db| {
            let mut rows = session_history::ended_of(db, id, most)?;
            rows.extend(session_history::unended_of(db, id, most)?);
            Ok(rows)
        });
        let is_live = |id: SessionId| live.iter().any(|(row, ..)| row.id == id);
        let over: Vec<_> = over.await?.into_iter().filter(|row| !is_live(row.id)).collect();
        let mut history: Vec<_> = over.iter().map(EndedSessionView::new).collect();
        history.sort_by_key(|session| Reverse(session.ended_at));
        history.truncate(HISTORY);
        let sessions = live.into_iter().map(|(row, last, _)| SessionDetail::new(&row, last, current)).collect();
        Ok(Some(UserDetail { user, sessions, history }))
    }

    /// Users as administrators see them.
    pub(in crate::service) fn user_rows(&self, db: &mut Db, users: &[User]) -> Result<Vec<UserRow>, LedgerError> {
        let (now, ids) = (self.core.clock().now(), users.iter().map(|user| user.id).collect::<Vec<_>>());
        let mut live: HashMap<String, usize> = HashMap::new();
        for (user, deadlines) in session_history::deadlines_of(db, &ids, now)? {
            if deadlines.hold_with_lag(now) {
                *live.entry(user).or_default() += 1;
            }
        }
        let row = |user: &User| UserRow {
            user: UserView::from(user),
            disabled_at: user.disabled_at(),
            locked: user.is_locked(),
            live_sessions: live.get(&user.id.to_string()).copied().unwrap_or(0),
        };
        Ok(users.iter().map(row).collect())
    }
}

type Page = (Vec<User>, Option<UserPosition>);

fn addressed(db: &mut Db, after: Option<&str>, limit: i64) -> Result<Page, LedgerError> {
    let mut users = users::page(db, after, limit.saturating_add(1))?;
    let last = cut(&mut users, limit).map(|user| UserPosition::Address(user.email_key.clone()));
    Ok((users, last))
}

fn named(db: &mut Db, prefix: &str, after: Option<&After>, limit: i64) -> Result<Page, LedgerError> {
    let mut found = user_search::page(db, prefix, after, limit.saturating_add(1))?;
    let last = cut(&mut found, limit).map(|(name, user)| UserPosition::Name(name.clone(), user.id));
    Ok((found.into_iter().map(|(_, user)| user).collect(), last))
}
