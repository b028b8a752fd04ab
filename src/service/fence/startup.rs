//! Startup: what a node does before its first request.
//!
//! Owns the order: the tables and the ledger's name, the clock, this node's place among the others, its lease, the
//! rollback check. Must never write to Redis before this node has its place: a node that is refused must not take Redis
//! away from the others.

use crate::domain::{History, HistoryPosition, Lineage, Random};
use crate::ledger::{Ledger, LedgerError, lineage};
use crate::service::core::start_error::StartError;
use crate::service::fence::Fence;
use crate::service::fence::membership::Membership;

/// Migrates the ledger's tables, and gives the ledger a name: every later copy has it, too.
pub async fn prepare(ledger: &Ledger, random: &dyn Random) -> Result<(), LedgerError> {
    ledger.migrate().await?;
    if ledger.read(lineage::read).await?.is_none() {
        let new =
            History { ledger: Lineage::generate(random), position: HistoryPosition::first(Lineage::generate(random)) };
        ledger.write_aside(move |db| lineage::establish(db, &new)).await?;
    }
    Ok(())
}

impl Fence {
    /// Enters the cluster: compares the clocks, takes this node's place if it shares its stores with others, and
    /// refuses an older copy of the ledger.
    pub async fn enter(&self, membership: Option<Membership>) -> Result<(), StartError> {
        // A wrong clock may be corrected while the node serves; until then the node reports it.
        let _skew = self.compare_clocks().await;
        // Before anything is written to Redis.
        if let Some(membership) = membership {
            self.join(&membership).await?;
            self.membership.get_or_init(|| membership);
        }
        // Before Redis is asked: what the ledger says of its process counts only under the lease.
        self.take_lease().await;
        if let Err(refused) = self.look_before_serving().await {
            // The next node may have other settings. A row that stays counts as gone in a few seconds.
            let _left = (self.leave().await, self.leave_lease().await);
            return Err(refused);
        }
        Ok(())
    }
}
