//! Unknown token: a token that opens no session, and its origin.
//!
//! Owns the log line, once for each address and minute, and the refusal of too many. Must never be asked about a token
//! that opens a session, nor refuse one that did: when many sessions behind one address end at once, each owner has to
//! learn it.

use std::net::IpAddr;

use crate::domain::TokenHash;
use crate::domain::throttle::subscriber;
use crate::ledger::tokens;
use crate::service::check::Check;
use crate::service::check::probing::{Judgement, WINDOW};
use crate::service::core::throttled::{Quota, Throttled};

impl Check {
    /// Records that a token from this address opens no session; `fingerprint` is a hash that only this process makes.
    /// Fails when there were too many.
    pub fn note_unknown_token(&self, from: IpAddr, fingerprint: u64) -> Result<(), Throttled> {
        let now = self.core.clock().now();
        let judgement = self.probing.note(subscriber(from), fingerprint, now);
        if judgement == Judgement::First {
            log::warn!(
                "more than {} different session tokens that open nothing within a minute from {from}",
                WINDOW.limit
            );
        }
        if judgement == Judgement::Fine {
            return Ok(());
        }
        let quota = Quota { name: "unknown-tokens", limit: WINDOW.limit, window: WINDOW.length };
        Err(Throttled { quota, retry_after: WINDOW.rest(now), stopped: false })
    }

    /// The same for a token that this service signed. When there were too many, asks the ledger whether it was issued.
    pub async fn note_dead_token(
        &self,
        from: IpAddr,
        fingerprint: u64,
        token_hash: TokenHash,
    ) -> Result<(), Throttled> {
        let Err(throttled) = self.note_unknown_token(from, fingerprint) else { return Ok(()) };
        match self.core.ledger.read(move |db| tokens::was_issued(db, &token_hash)).await {
            Ok(false) => Err(throttled),
            Ok(true) => Ok(()),
            Err(error) => {
                log::debug!("whether a token was ever issued is not known: {error}");
                Ok(())
            }
        }
    }
}
