//! Lineage: the ledger's identity, and how far its history has come.
//!
//! Owns the one row of `lineage`. Its height only rises, one step at a time and from the value that was read: so a
//! height that was ever reported is in every later state of this history, and in no earlier one. A history and the
//! records filled from it belong together: must never begin a history without retiring all stamps in the same
//! transaction.

use diesel::prelude::*;

use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::lineage;
use super::{live_store, timeline};
use crate::domain::{History, HistoryPosition, Lineage};

/// The table has one row.
const ID: i32 = 1;

/// The ledger's own entry; none when the ledger is new, or was emptied.
pub fn read(db: &mut Db) -> Result<Option<History>, LedgerError> {
    let columns = (lineage::ledger, lineage::name, lineage::height, lineage::ancestors);
    let row = lineage::table.find(ID).select(columns).get_result::<(String, String, i64, String)>(db).optional()?;
    row.map(|(ledger, name, height, ancestors)| {
        let parts = (Lineage::parse(&ledger), Lineage::parse(&name), HistoryPosition::parse_ancestors(&ancestors));
        let (Some(ledger), Some(lineage), Some(ancestors)) = parts else {
            return Err(LedgerError::Corrupt("the ledger's lineage".to_owned()));
        };
        Ok(History { ledger, position: HistoryPosition { lineage, height, ancestors } })
    })
    .transpose()
}

/// Gives the ledger a name, unless it has one. No node can hold a lease of a ledger without a name.
pub fn establish(db: &mut Db, history: &History) -> Result<(), LedgerError> {
    let (timeline, server) = (timeline::read(db)?, timeline::server(db)?);
    let row = (
        lineage::id.eq(ID),
        lineage::ledger.eq(history.ledger.to_string()),
        lineage::name.eq(history.position.lineage.to_string()),
        lineage::height.eq(history.position.height),
        lineage::ancestors.eq(history.position.ancestors_text()),
        lineage::timeline.eq(timeline),
        lineage::watched.eq(server),
    );
    each!(db, c => diesel::insert_into(lineage::table).values(row).on_conflict(lineage::id).do_nothing().execute(c))?;
    Ok(())
}

/// Advances from the position that was read; false when the ledger is no longer there.
pub fn advance(db: &mut Db, from: &HistoryPosition, to: &HistoryPosition) -> Result<bool, LedgerError> {
    let row = lineage::table
        .find(ID)
        .filter(lineage::name.eq(from.lineage.to_string()))
        .filter(lineage::height.eq(from.height));
    let moved = diesel::update(row)
        .set((
            lineage::name.eq(to.lineage.to_string()),
            lineage::height.eq(to.height),
            lineage::ancestors.eq(to.ancestors_text()),
        ))
        .execute(db)?;
    Ok(moved == 1)
}

/// Begins another history here, in a write transaction. None when the ledger is no longer at `from`; otherwise whether
/// a Redis process was trusted until now.
pub fn begin(db: &mut Db, from: &HistoryPosition, to: &HistoryPosition) -> Result<Option<bool>, LedgerError> {
    if !advance(db, from, to)? {
        return Ok(None);
    }
    let here = timeline::read(db)?;
    diesel::update(lineage::table.find(ID)).set(lineage::timeline.eq(here)).execute(db)?;
    live_store::retire_stamps(db).map(Some)
}

/// Begins the history that an operator declares, in a write transaction, whatever was seen of the ledger before.
/// Returns whether a Redis process was trusted until now.
pub fn declare(db: &mut Db, fresh: Lineage) -> Result<bool, LedgerError> {
    let Some(history) = read(db)? else { return live_store::retire_stamps(db) };
    let begun = begin(db, &history.position, &history.position.begin(fresh))?;
    begun.ok_or_else(|| LedgerError::Conflict("the ledger's height was raised meanwhile".to_owned()))
}
