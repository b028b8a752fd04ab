//! Keys: reads the signing keys every second, and makes the next one when none goes on signing.
//!
//! Owns the list in memory. A key is published as soon as it is made, and signs when the one before it ends: by then,
//! whoever verifies has it, or asks for a key that it does not know. While SQL does not answer, the node goes on with what
//! it knows: nobody can rotate keys then, and who verifies asks for the keys anyway.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::issuer::Issuer;
use super::key_list::{self, KeyList};
use super::{AccessTokens, LONGEST};
use crate::domain::MAX_SKEW;
use crate::ledger::{LedgerError, signing_keys};
use crate::service::core::log_on_change::{LogOnChange, stopped};
use crate::service::core::unavailable::Unavailable;

/// How often the keys are read.
const EVERY: Duration = Duration::from_secs(1);

impl AccessTokens {
    /// The public keys, as a JWK Set; none when no issuer is set.
    ///
    /// # Errors
    /// When they have not been read yet.
    pub fn public_keys(&self) -> Result<Option<String>, Unavailable> {
        let Some(issuer) = &self.issuer else { return Ok(None) };
        Ok(Some(issuer.known()?.public.clone()))
    }

    /// Reads the keys until the node stops.
    pub(in crate::service) async fn keep_keys(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(issuer) = self.issuer.clone() else { return };
        let mut log_on_change = LogOnChange::default();
        loop {
            log_on_change.about("reading the keys that sign tokens", self.renew_keys(&issuer).await.err());
            if stopped(&mut stop, EVERY).await {
                return;
            }
        }
    }

    async fn renew_keys(&self, issuer: &Arc<Issuer>) -> Result<(), LedgerError> {
        let mut list = self.read_keys(issuer).await?;
        if !list.is_enough() {
            self.make_key(issuer).await?;
            list = self.read_keys(issuer).await?;
        }
        *issuer.keys.lock() = Some(Arc::new(list));
        Ok(())
    }

    async fn read_keys(&self, issuer: &Issuer) -> Result<KeyList, LedgerError> {
        let now = self.core.clock().now();
        let rows = self.core.ledger.read(move |db| signing_keys::all(db, now)).await?;
        KeyList::new(rows, &issuer.rules.seal).ok_or_else(corrupt)
    }

    async fn make_key(&self, issuer: &Arc<Issuer>) -> Result<(), LedgerError> {
        let (issuer, now) = (Arc::clone(issuer), self.core.clock().now());
        let random = Arc::clone(&self.core.random);
        let make = move |db: &mut _| {
            // Of several nodes one makes it.
            signing_keys::lock(db)?;
            let seal = &issuer.rules.seal;
            let list = KeyList::new(signing_keys::all(db, now)?, seal).ok_or_else(corrupt)?;
            if list.is_enough() {
                return Ok(());
            }
            // Sealed under another cookie key, which no node has any more.
            if list.is_useless() {
                signing_keys::end_all(db, now, now.plus(LONGEST).plus(MAX_SKEW), now)?;
            }
            let key = key_list::generate(list.next_from(now), now, seal, random.as_ref()).ok_or_else(corrupt)?;
            signing_keys::add(db, &key)
        };
        self.core.ledger.write(make).await
    }
}

fn corrupt() -> LedgerError {
    LedgerError::Corrupt("the keys that sign tokens".to_owned())
}
