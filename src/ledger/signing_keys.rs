//! Signing keys in SQL: the public halves, and the sealed private ones.
//!
//! Owns the table `signing_keys`. Must never see a private half that is not sealed. There are few: nodes read all.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::signing_keys;
use crate::domain::Timestamp;

/// A key pair that signs tokens.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The thumbprint of the public half (RFC 7638).
    pub id: String,
    /// The point on P-256, uncompressed: 65 bytes.
    pub public_key: Vec<u8>,
    /// The private half, sealed under the id.
    pub sealed_key: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// From when on it signs no more; none: it stays.
    pub signs_until: Option<Timestamp>,
    /// From when on nobody has to know it; none: it stays.
    pub published_until: Option<Timestamp>,
}

type Row = (String, Vec<u8>, Vec<u8>, i64, i64, Option<i64>, Option<i64>);

/// Adds a key.
pub fn add(db: &mut Db, key: &SigningKey) -> Result<(), LedgerError> {
    diesel::insert_into(signing_keys::table)
        .values((
            signing_keys::id.eq(&key.id),
            signing_keys::public_key.eq(&key.public_key),
            signing_keys::sealed_key.eq(&key.sealed_key),
            signing_keys::created_at.eq(key.created_at.ms()),
            signing_keys::signs_from.eq(key.signs_from.ms()),
            signing_keys::signs_until.eq(key.signs_until.map(Timestamp::ms)),
            signing_keys::published_until.eq(key.published_until.map(Timestamp::ms)),
        ))
        .execute(db)?;
    Ok(())
}

/// Lets every key end, if it does not end before: it signs until the first time, and is published until the second one.
/// Forgets those that nobody has to know any more. Returns how many are left to end.
pub fn end_all(
    db: &mut Db,
    signs_until: Timestamp,
    published_until: Timestamp,
    now: Timestamp,
) -> Result<usize, LedgerError> {
    diesel::delete(signing_keys::table.filter(signing_keys::published_until.le(now.ms()))).execute(db)?;
    let longer = signing_keys::signs_until.is_null().or(signing_keys::signs_until.gt(signs_until.ms()));
    let ended = diesel::update(signing_keys::table.filter(longer))
        .set((
            signing_keys::signs_until.eq(Some(signs_until.ms())),
            signing_keys::published_until.eq(Some(published_until.ms())),
        ))
        .execute(db)?;
    // One that had ended before may still be published longer.
    let shown = signing_keys::published_until.gt(published_until.ms());
    diesel::update(signing_keys::table.filter(shown))
        .set(signing_keys::published_until.eq(Some(published_until.ms())))
        .execute(db)?;
    Ok(ended)
}

/// All keys that somebody may have to know, the one that signs last first.
pub fn all(db: &mut Db, now: Timestamp) -> Result<Vec<SigningKey>, LedgerError> {
    let shown = signing_keys::published_until.is_null().or(signing_keys::published_until.gt(now.ms()));
    let order = (signing_keys::signs_from.desc(), signing_keys::id);
    let rows: Vec<Row> = signing_keys::table.filter(shown).order(order).load(db)?;
    Ok(rows.into_iter().map(read).collect())
}

fn read((id, public_key, sealed_key, created_at, signs_from, signs_until, published_until): Row) -> SigningKey {
    SigningKey {
        id,
        public_key,
        sealed_key,
        created_at: Timestamp::from_ms(created_at),
        signs_from: Timestamp::from_ms(signs_from),
        signs_until: signs_until.map(Timestamp::from_ms),
        published_until: published_until.map(Timestamp::from_ms),
    }
}
