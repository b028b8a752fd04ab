//! Unknown address: the work for a sign-in that finds no account ([`super::decoys`]).
//!
//! Owns when the shares are read. Must never ask the ledger in a request.

use std::sync::Arc;

use crate::domain::password::StoredHash;
use crate::ledger::LedgerError;
use crate::ledger::users::other_hashes;
use crate::service::sign_in::SignIns;

impl SignIns {
    /// The work for this address if it has no account, or none that a password opens; none: ours.
    pub(in crate::service) fn decoy(&self, email_key: &str) -> Option<Arc<StoredHash>> {
        self.decoys.decoy(|| self.core.throttle.key.decoy(email_key))
    }

    /// Reads the shares.
    pub(in crate::service) async fn read_decoys(&self) -> Result<(), LedgerError> {
        let found = self.core.ledger.read(other_hashes::shares).await?;
        self.decoys.set(&found);
        Ok(())
    }
}
