//! Nodes: the nodes that serve from this database, and the settings that they must share.
//!
//! Owns the `nodes` table. Must never hold a secret: only a key's fingerprint.

use diesel::prelude::*;

use super::db::{Db, each, now_ms};
use super::error::LedgerError;
use super::schema::nodes;

/// A row that was not renewed for this long, by the database's clock, belongs to a node that is gone.
const GONE_MS: i64 = 60_000;

/// A node's row.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Node {
    /// Its name: random, and new with each start.
    pub name: String,
    /// `VARIABLE=value`, one per line.
    pub settings: String,
    /// Changes with each renewal of the row.
    pub beat_at: i64,
}

/// The other nodes that may be alive. In a write transaction: a node that registers later sees this one's row.
pub fn others(db: &mut Db, name: &str) -> Result<Vec<Node>, LedgerError> {
    #[cfg(feature = "postgres")]
    if let Db::Pg(c) = db {
        diesel::sql_query("LOCK TABLE nodes IN SHARE ROW EXCLUSIVE MODE").execute(c)?;
    }
    let since = now_ms(db)?.saturating_sub(GONE_MS);
    diesel::delete(nodes::table.filter(nodes::beat_at.lt(since))).execute(db)?;
    let rows = nodes::table.filter(nodes::name.ne(name)).order(nodes::name);
    Ok(rows.select((nodes::name, nodes::settings, nodes::beat_at)).load(db)?)
}

/// All nodes that may be alive, for a node that has no row and changes nothing: the tables may be from an earlier
/// version without nodes.
pub fn seen(db: &mut Db) -> Result<Vec<Node>, LedgerError> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let there = match db {
        #[cfg(feature = "postgres")]
        Db::Pg(_) => "SELECT count(to_regclass('nodes')) AS count",
        Db::Sqlite(_) => "SELECT count(*) AS count FROM sqlite_master WHERE name = 'nodes'",
    };
    if diesel::sql_query(there).get_result::<Count>(db)?.count == 0 {
        return Ok(Vec::new());
    }
    let since = now_ms(db)?.saturating_sub(GONE_MS);
    let rows = nodes::table.filter(nodes::beat_at.ge(since)).order(nodes::name);
    Ok(rows.select((nodes::name, nodes::settings, nodes::beat_at)).load(db)?)
}

/// Whether a node has its row.
pub fn is_there(db: &mut Db, name: &str) -> Result<bool, LedgerError> {
    Ok(diesel::select(diesel::dsl::exists(nodes::table.find(name))).get_result(db)?)
}

/// Renews a node's row, or creates it.
pub fn beat(db: &mut Db, name: &str, settings: &str) -> Result<(), LedgerError> {
    let row = (nodes::name.eq(name), nodes::settings.eq(settings), nodes::beat_at.eq(now_ms(db)?));
    let beat = nodes::beat_at.eq(now_ms(db)?);
    each!(db, c => diesel::insert_into(nodes::table).values(row).on_conflict(nodes::name).do_update().set(beat).execute(c))?;
    Ok(())
}

/// Deletes a node's row, unless it was renewed since it was read.
pub fn remove(db: &mut Db, node: &Node) -> Result<(), LedgerError> {
    let row = nodes::table.filter(nodes::name.eq(&node.name)).filter(nodes::beat_at.eq(node.beat_at));
    diesel::delete(row).execute(db)?;
    Ok(())
}

/// Deletes the row of a node that stops.
pub fn leave(db: &mut Db, name: &str) -> Result<(), LedgerError> {
    diesel::delete(nodes::table.filter(nodes::name.eq(name))).execute(db)?;
    Ok(())
}
