//! Manage: an operator adds, lists and removes services, and replaces their secrets.
//!
//! Owns these use cases. Each returns when every node does what it says: [`TRUST`] after the commit no node goes by what
//! it knew before.

use std::time::Duration;

use super::Credentials;
use super::directory::TRUST;
use crate::domain::event::Event;
use crate::domain::{Scopes, ServiceName, ServiceSecret, Timestamp};
use crate::ledger::services::{self, Credential, Service};
use crate::ledger::{LedgerError, audit};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::unavailable::Unavailable;

/// Most secrets of one service that are valid at once.
const MOST_SECRETS: usize = 8;
/// Most services.
const MOST_SERVICES: usize = 1_000;

/// Why a service was not added or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// There is one of this name.
    #[error("there is already a service of this name")]
    Taken,
    /// There is none of this name.
    #[error("there is no service of this name")]
    Unknown,
    /// There are as many as allowed.
    #[error("there are too many services, or too many secrets of this one: wait until older ones are over")]
    TooMany,
    /// The ledger does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<LedgerError> for CredentialError {
    fn from(error: LedgerError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Credentials {
    /// Adds a service. Returns its secret, which is shown once.
    pub async fn add(
        &self,
        name: ServiceName,
        scopes: Scopes,
        context: &AuditContext,
    ) -> Result<ServiceSecret, CredentialError> {
        let now = self.core.clock().now();
        let (secret, credential) = self.new_secret(now);
        let service = Service { name, scopes, created_at: now, credentials: vec![credential] };
        let line = self.line(Event::ServiceAdded, format!("{name}: {}", service.scopes), context);
        let added = self.core.write(move |db| {
            if services::all(db)?.len() >= MOST_SERVICES {
                return Ok(Err(CredentialError::TooMany));
            }
            if !services::add(db, &service)? {
                return Ok(Err(CredentialError::Taken));
            }
            audit::append(db, &line)?;
            Ok(Ok(()))
        });
        added.await??;
        Ok(secret)
    }

    /// Gives a service another secret. The older ones end after `overlap`: without one, when this returns, no node accepts
    /// them.
    pub async fn rotate(
        &self,
        name: ServiceName,
        overlap: Duration,
        context: &AuditContext,
    ) -> Result<ServiceSecret, CredentialError> {
        let now = self.core.clock().now();
        let (secret, credential) = self.new_secret(now);
        let line = self.line(Event::ServiceSecretRotated, name.to_string(), context);
        let rotated = self.core.write(move |db| {
            let at = now.plus(overlap);
            let Some(staying) = services::staying(db, name, now)? else { return Ok(Err(CredentialError::Unknown)) };
            // Without an overlap none stays.
            if staying >= MOST_SECRETS && at > now {
                return Ok(Err(CredentialError::TooMany));
            }
            services::end_credentials(db, name, at, now)?;
            services::add_credential(db, name, &credential)?;
            audit::append(db, &line)?;
            Ok(Ok(()))
        });
        rotated.await??;
        if overlap < TRUST {
            self.until_known().await;
        }
        Ok(secret)
    }

    /// Removes a service. When this returns, no node accepts its secrets. Its users and their sessions stay.
    pub async fn remove(&self, name: ServiceName, context: &AuditContext) -> Result<(), CredentialError> {
        let line = self.line(Event::ServiceRemoved, name.to_string(), context);
        let removed = self.core.write(move |db| {
            if services::remove(db, name)? {
                audit::append(db, &line)?;
                return Ok(true);
            }
            Ok(false)
        });
        let is_news = removed.await?;
        // Also when it was removed before: that command may have been interrupted.
        self.until_known().await;
        if is_news { Ok(()) } else { Err(CredentialError::Unknown) }
    }

    /// All services, by name.
    pub async fn list(&self) -> Result<Vec<Service>, Unavailable> {
        Ok(self.core.ledger.read(services::all).await?)
    }

    fn new_secret(&self, now: Timestamp) -> (ServiceSecret, Credential) {
        let secret = ServiceSecret::generate(self.core.random());
        let credential = Credential { id: secret.id(), hash: secret.hash(), created_at: now, expires_at: None };
        (secret, credential)
    }

    fn line(&self, event: Event, detail: String, context: &AuditContext) -> audit::Entry {
        audit::Entry { detail: Some(detail), ..self.audit.entry(event, context, None, None) }
    }

    /// Until no node goes by what it read before the last commit. Longer than that by what two stopwatches may differ.
    async fn until_known(&self) {
        tokio::time::sleep(TRUST + TRUST / 10).await;
    }
}
