//! Last seen: when and from where sessions were last used, in the ledger.
//!
//! Owns the writes of last-seen times, in batches because a busy ledger writes little else, and the location of an
//! address, which is looked up and written only when the address changes. Must never move a time back, nor change a
//! session that has ended.

use std::net::IpAddr;

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::sessions;
use super::sessions::ip_key;
use crate::domain::{Place, SessionId, Timestamp};

/// A use of a session: its id, the time, and the address.
pub type Use = (SessionId, Timestamp, IpAddr);

/// Moves last-seen times of live sessions forward, or only the address where the time is the same; calls `place_of` for
/// the address of each that may have changed.
pub fn tell(db: &mut Db, uses: &[Use], place_of: &dyn Fn(IpAddr) -> Place) -> Result<(), LedgerError> {
    match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => {
            let left = tell_who_stayed(c, uses)?;
            if left.is_empty() { Ok(()) } else { tell_who_moved(c, &left, place_of) }
        }
        Db::Sqlite(c) => uses.iter().try_for_each(|used| tell_one(c, used, place_of)),
    }
}

fn tell_one(
    c: &mut SqliteConnection,
    (id, seen_at, ip): &Use,
    place_of: &dyn Fn(IpAddr) -> Place,
) -> Result<(), LedgerError> {
    let live = || sessions::table.find(id.to_string()).filter(sessions::ended_at.is_null());
    let address = ip.to_string();
    let stayed = live().filter(sessions::last_seen_at.lt(seen_at.ms()));
    let stayed = diesel::update(stayed.filter(sessions::last_ip_key.eq(Some(ip_key(*ip)))));
    if stayed.set(sessions::last_seen_at.eq(seen_at.ms())).execute(c)? == 1 {
        return Ok(());
    }
    // Background activity changes the address without a later time.
    let row = || {
        let moved = live().filter(sessions::last_seen_at.le(seen_at.ms()));
        moved.filter(sessions::last_ip_key.is_null().or(sessions::last_ip_key.ne(Some(ip_key(*ip)))))
    };
    let Some(signed_in) = row().select(sessions::sign_in_ip).get_result::<String>(c).optional()? else {
        return Ok(());
    };
    // Back at the sign-in address: the sign-in location applies.
    let place = if signed_in == address { Place::default() } else { place_of(*ip) };
    diesel::update(row())
        .set((
            sessions::last_seen_at.eq(seen_at.ms()),
            sessions::last_ip.eq(&address),
            sessions::last_ip_key.eq(Some(ip_key(*ip))),
            (sessions::last_country.eq(place.country), sessions::last_city.eq(place.city)),
            (sessions::last_asn.eq(place.asn), sessions::last_network.eq(place.network)),
        ))
        .execute(c)?;
    Ok(())
}

/// Writes all uses from an unchanged address in one round trip; returns the others: their session moved or has ended,
/// or the ledger knows a later use.
#[cfg(feature = "postgres")]
fn tell_who_stayed(c: &mut PgConnection, uses: &[Use]) -> Result<Vec<Use>, LedgerError> {
    use std::collections::HashSet;

    use diesel::sql_types::{Array, BigInt, Binary, Text};

    #[derive(QueryableByName)]
    struct Told {
        #[diesel(sql_type = Text)]
        id: String,
    }

    let told: Vec<Told> = diesel::sql_query(
        "UPDATE sessions SET last_seen_at = used.seen_at FROM unnest($1, $2, $3) AS used (id, seen_at, ip_key) \
         WHERE sessions.id = used.id AND sessions.ended_at IS NULL AND sessions.last_seen_at < used.seen_at \
         AND sessions.last_ip_key = used.ip_key RETURNING sessions.id",
    )
    .bind::<Array<Text>, _>(uses.iter().map(|(id, _, _)| id.to_string()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(uses.iter().map(|(_, seen_at, _)| seen_at.ms()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(uses.iter().map(|(_, _, ip)| ip_key(*ip)).collect::<Vec<_>>())
    .load(c)?;
    let told: HashSet<String> = told.into_iter().map(|row| row.id).collect();
    Ok(uses.iter().filter(|(id, _, _)| !told.contains(&id.to_string())).copied().collect())
}

#[cfg(feature = "postgres")]
fn tell_who_moved(c: &mut PgConnection, uses: &[Use], place_of: &dyn Fn(IpAddr) -> Place) -> Result<(), LedgerError> {
    use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};

    let places: Vec<_> = uses.iter().map(|(_, _, ip)| place_of(*ip)).collect();
    diesel::sql_query(
        "UPDATE sessions SET last_seen_at = used.seen_at, last_ip = used.ip, last_ip_key = used.ip_key, \
         last_country = CASE WHEN sessions.sign_in_ip <> used.ip THEN used.country END, \
         last_city = CASE WHEN sessions.sign_in_ip <> used.ip THEN used.city END, \
         last_asn = CASE WHEN sessions.sign_in_ip <> used.ip THEN used.asn END, \
         last_network = CASE WHEN sessions.sign_in_ip <> used.ip THEN used.network END \
         FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS used (id, seen_at, ip, ip_key, country, city, asn, network) \
         WHERE sessions.id = used.id AND sessions.ended_at IS NULL AND (sessions.last_seen_at < used.seen_at \
         OR sessions.last_seen_at = used.seen_at AND sessions.last_ip_key IS DISTINCT FROM used.ip_key)",
    )
    .bind::<Array<Text>, _>(uses.iter().map(|(id, _, _)| id.to_string()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(uses.iter().map(|(_, seen_at, _)| seen_at.ms()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(uses.iter().map(|(_, _, ip)| ip.to_string()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(uses.iter().map(|(_, _, ip)| ip_key(*ip)).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(places.iter().map(|place| place.country.clone()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(places.iter().map(|place| place.city.clone()).collect::<Vec<_>>())
    .bind::<Array<Nullable<BigInt>>, _>(places.iter().map(|place| place.asn).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(places.iter().map(|place| place.network.clone()).collect::<Vec<_>>())
    .execute(c)?;
    Ok(())
}
