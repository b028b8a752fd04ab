//! Witness: what this node remembers of its ledger between two looks, and the judgement.
//!
//! Owns both. Must never forget what it has seen for want of a Redis that still knows it.

use crate::domain::{History, HistoryPosition, Lineage};
use crate::ledger::{Ledger, LedgerError, lineage};

/// What this node remembers between two looks.
#[derive(Default)]
pub(in crate::service) struct RollbackDetector {
    ledger: Option<Lineage>,
    pub(in crate::service) seen: Option<HistoryPosition>,
    /// The ledger's own history, as this node last read it.
    pub(in crate::service) own: Option<Lineage>,
    /// The history in whose place this node has seen an older copy.
    pub(in crate::service) doubted: Option<Lineage>,
    /// How many changes through this node the height stands for.
    pub(in crate::service) raised_for: Option<u64>,
}

impl RollbackDetector {
    /// The ledger's own name; none when it has none.
    pub(in crate::service) async fn ledger(&mut self, ledger: &Ledger) -> Result<Option<Lineage>, LedgerError> {
        if self.ledger.is_none() {
            self.ledger = ledger.read_regardless(lineage::read).await?.map(|history| history.ledger);
        }
        Ok(self.ledger)
    }

    /// Whether Redis knows that the history which this node last read was given up for another one.
    pub(in crate::service) fn was_given_up(&self, noted: Option<&HistoryPosition>) -> bool {
        self.own.is_some_and(|own| noted.is_some_and(|noted| noted.ancestors.contains(&own)))
    }
}

/// Where the ledger stands, with all that was seen to be given up; none when it does not go on from what was seen.
pub(in crate::service) fn judge(
    history: Option<&History>,
    seen: [Option<&HistoryPosition>; 2],
) -> Option<HistoryPosition> {
    let seen = || seen.into_iter().flatten();
    let mark = &history?.mark;
    seen().all(|seen| mark.continues(seen)).then(|| seen().fold(mark.clone(), HistoryPosition::successor_of))
}
