//! Rotate: an operator lets the signing keys end.
//!
//! Owns this use case. It makes no key: only nodes have the cookie key that seals it, and each makes the next one within a
//! second.

use std::time::Duration;

use super::{AccessTokens, LONGEST};
use crate::domain::MAX_SKEW;
use crate::domain::event::Event;
use crate::ledger::signing_keys::{self, SigningKey};
use crate::ledger::{LedgerError, audit};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::unavailable::Unavailable;

/// By then every node has read the keys again, or knows that it cannot.
const KNOWN_AFTER: Duration = Duration::from_millis(3_300);

impl AccessTokens {
    /// Lets the present keys sign for `overlap` more, while the next one is published already. Tokens that they signed are
    /// accepted until they expire; without an overlap the keys are withdrawn at once. Returns when the nodes know.
    pub async fn rotate_keys(&self, overlap: Duration, context: &AuditContext) -> Result<usize, Unavailable> {
        let now = self.core.clock().now();
        let signs_until = now.plus(overlap);
        let published_until = if overlap.is_zero() { now } else { signs_until.plus(LONGEST).plus(MAX_SKEW) };
        let line = self.audit.entry(Event::SigningKeysRotated, context, None, None);
        let rotate = move |db: &mut _| {
            let ended = signing_keys::end_all(db, signs_until, published_until, now)?;
            audit::append(db, &line)?;
            Ok::<_, LedgerError>(ended)
        };
        let ended = self.core.ledger.write(rotate).await?;
        tokio::time::sleep(KNOWN_AFTER).await;
        Ok(ended)
    }

    /// The keys that somebody may have to know, the one that signs last first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, Unavailable> {
        let now = self.core.clock().now();
        Ok(self.core.ledger.read(move |db| signing_keys::all(db, now)).await?)
    }
}
