//! Rollback detector: what this node remembers of its ledger between two checks, and the judgement.
//!
//! Owns both. Must never forget what it has seen because Redis no longer knows it.

use crate::domain::{History, HistoryPosition, Lineage};
use crate::ledger::{Ledger, LedgerError, lineage};

/// What this node remembers between two checks.
#[derive(Default)]
pub(in crate::service) struct RollbackDetector {
    ledger: Option<Lineage>,
    pub(in crate::service) seen: Option<HistoryPosition>,
    /// The ledger's own history, as this node last read it.
    pub(in crate::service) own: Option<Lineage>,
    /// The history in whose place this node saw an older copy.
    pub(in crate::service) doubted: Option<Lineage>,
    /// How many changes made through this node the height covers.
    pub(in crate::service) raised_for: Option<u64>,
}

impl RollbackDetector {
    /// The ledger's own name, if it has one.
    pub(in crate::service) async fn ledger(&mut self, ledger: &Ledger) -> Result<Option<Lineage>, LedgerError> {
        if self.ledger.is_none() {
            self.ledger = ledger.read_regardless(lineage::read).await?.map(|history| history.ledger);
        }
        Ok(self.ledger)
    }

    /// Whether Redis knows that the history that this node last read was given up for another one.
    pub(in crate::service) fn was_given_up(&self, noted: Option<&HistoryPosition>) -> bool {
        self.own.is_some_and(|own| noted.is_some_and(|noted| noted.ancestors.contains(&own)))
    }
}

/// The ledger's position, with all histories that were seen to be given up; none when it does not continue from what
/// was seen.
pub(in crate::service) fn judge(
    history: Option<&History>,
    seen: [Option<&HistoryPosition>; 2],
) -> Option<HistoryPosition> {
    let seen = || seen.into_iter().flatten();
    let position = &history?.position;
    seen().all(|seen| position.continues(seen)).then(|| seen().fold(position.clone(), HistoryPosition::successor_of))
}
