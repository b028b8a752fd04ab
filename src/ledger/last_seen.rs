//! When sessions were last used, as the ledger knows it.
//!
//! Owns writing last-seen times: most of what a busy ledger has to write, so many go at once. Must never move one back,
//! nor touch a session that has ended.

use std::net::IpAddr;

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::sessions;
use super::sessions::ip_key;
use crate::domain::{SessionId, Timestamp};

/// A use of a session: which, when, and from where.
pub type Use = (SessionId, Timestamp, IpAddr);

/// Moves last-seen times of live sessions forward.
pub fn tell(db: &mut Db, uses: &[Use]) -> Result<(), LedgerError> {
    match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => tell_together(c, uses),
        Db::Sqlite(c) => uses.iter().try_for_each(|used| tell_one(c, used)),
    }
}

fn tell_one(c: &mut SqliteConnection, (id, seen_at, ip): &Use) -> Result<(), LedgerError> {
    let row = sessions::table
        .find(id.to_string())
        .filter(sessions::ended_at.is_null())
        .filter(sessions::last_seen_at.lt(seen_at.ms()));
    diesel::update(row)
        .set((
            sessions::last_seen_at.eq(seen_at.ms()),
            sessions::last_ip.eq(ip.to_string()),
            sessions::last_ip_key.eq(Some(ip_key(*ip))),
        ))
        .execute(c)?;
    Ok(())
}

/// One round trip for all: last-seen times are most of what the ledger has to write.
#[cfg(feature = "postgres")]
fn tell_together(c: &mut PgConnection, uses: &[Use]) -> Result<(), LedgerError> {
    use diesel::sql_types::{Array, BigInt, Binary, Text};

    let ids: Vec<_> = uses.iter().map(|(id, _, _)| id.to_string()).collect();
    let times: Vec<_> = uses.iter().map(|(_, seen_at, _)| seen_at.ms()).collect();
    let addresses: Vec<_> = uses.iter().map(|(_, _, ip)| ip.to_string()).collect();
    let keys: Vec<_> = uses.iter().map(|(_, _, ip)| ip_key(*ip)).collect();
    diesel::sql_query(
        "UPDATE sessions SET last_seen_at = used.seen_at, last_ip = used.ip, last_ip_key = used.ip_key \
         FROM unnest($1, $2, $3, $4) AS used (id, seen_at, ip, ip_key) \
         WHERE sessions.id = used.id AND sessions.ended_at IS NULL AND sessions.last_seen_at < used.seen_at",
    )
    .bind::<Array<Text>, _>(ids)
    .bind::<Array<BigInt>, _>(times)
    .bind::<Array<Text>, _>(addresses)
    .bind::<Array<Binary>, _>(keys)
    .execute(c)?;
    Ok(())
}
