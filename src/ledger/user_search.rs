//! User search: finds accounts by the beginnings of their names.
//!
//! Owns the pages of a query's results. Must never change a row: [`super::user_names`] writes the names.

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::{user_names, users};
use super::users::User;
use crate::domain::UserId;

/// Where a page begins: after this account, found by this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The name.
    pub name: Vec<u8>,
    /// The account.
    pub user: UserId,
}

/// A page of accounts with a name that has this prefix, in the order of their first such name, each once.
pub fn page(db: &mut Db, prefix: &str, after: Option<&After>, limit: i64) -> Result<Vec<(Vec<u8>, User)>, LedgerError> {
    let earlier = diesel::alias!(user_names as earlier);
    let (from, to) = (prefix.as_bytes().to_vec(), end_of(prefix));
    let begin = after.map_or_else(|| from.clone(), |after| after.name.clone()).max(from.clone());
    let found_before = earlier
        .filter(earlier.field(user_names::user_id).eq(user_names::user_id))
        .filter(earlier.field(user_names::name).ge(from))
        .filter(earlier.field(user_names::name).lt(user_names::name));
    let mut rows = user_names::table
        .inner_join(users::table)
        .filter(user_names::name.ge(begin))
        .filter(user_names::name.lt(to))
        .filter(not(exists(found_before)))
        .into_boxed();
    if let Some(After { name, user }) = after {
        rows = rows.filter(user_names::name.ne(name.clone()).or(user_names::user_id.gt(user.to_string())));
    }
    let rows = rows.order((user_names::name, user_names::user_id)).limit(limit);
    Ok(rows.select((user_names::name, users::all_columns)).load(db)?)
}

/// The first bytes after everything with this prefix: every byte of UTF-8 has a successor.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}
