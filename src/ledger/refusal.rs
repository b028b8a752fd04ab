//! Why the ledger answers nobody.
//!
//! Owns the reasons. Each is raised and lifted by whoever watches for it; one is enough to refuse.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::LedgerError;

/// A reason to answer nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was found to be an older copy of the ledger.
    Outdated,
    /// This node's clock and the database's disagree, or were never compared.
    Clock,
}

/// The reasons that there are.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    outdated: AtomicBool,
    clock: AtomicBool,
}

impl Refusals {
    /// Raises or lifts a reason. Whether that is news.
    pub(super) fn set(&self, why: Refusal, there: bool) -> bool {
        self.of(why).swap(there, Ordering::SeqCst) != there
    }

    pub(super) fn has(&self, why: Refusal) -> bool {
        self.of(why).load(Ordering::SeqCst)
    }

    /// An error while there is a reason.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        match () {
            () if self.has(Refusal::Outdated) => Err(LedgerError::Outdated),
            () if self.has(Refusal::Clock) => Err(LedgerError::Clock),
            () => Ok(()),
        }
    }

    fn of(&self, why: Refusal) -> &AtomicBool {
        match why {
            Refusal::Outdated => &self.outdated,
            Refusal::Clock => &self.clock,
        }
    }
}
