//! Directory: the services as this node knows them.
//!
//! Owns the list in memory, and what a secret opens by it. Must never judge whether the list is young enough: see
//! [`super::recognise`].

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::{Client, CredentialId, Scope, Scopes, ServiceName, ServiceSecret, Timestamp};
use crate::ledger::services::Service;
use crate::service::core::audit_context::AuditContext;

/// How old the list may be, counted from before it was read.
pub(in crate::service) const TRUST: Duration = Duration::from_secs(3);

/// A service that has shown its secret.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The service.
    pub service: ServiceName,
    pub(in crate::service) credential: CredentialId,
    scopes: Scopes,
}

impl Caller {
    /// Whether it may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }

    /// Its change to what administrators may change.
    pub fn administering(&self, client: &Client) -> AuditContext {
        AuditContext::administering(self.service, self.credential.clone(), client)
    }
}

/// The list.
#[derive(Default)]
pub(in crate::service) struct Directory {
    pub(in crate::service) known: Mutex<Option<Known>>,
    /// One reads at a time; the others wait for what it finds.
    pub(in crate::service) reading: tokio::sync::Mutex<()>,
}

/// What was read.
#[derive(Clone)]
pub(in crate::service) struct Known {
    /// The stopwatch before it was read.
    pub(in crate::service) since: Duration,
    pub(in crate::service) services: Arc<[Service]>,
}

impl Known {
    /// Whether the caller's secret is among them.
    pub(in crate::service) fn has(&self, caller: &Caller, now: Timestamp) -> bool {
        let mut all = self.services.iter().flat_map(|service| &service.credentials);
        all.any(|it| it.id == caller.credential && it.expires_at.is_none_or(|end| now < end))
    }

    /// The service that shows this secret.
    pub(in crate::service) fn caller(&self, secret: &ServiceSecret, now: Timestamp) -> Option<Caller> {
        let (id, hash) = (secret.id(), secret.hash());
        self.services.iter().find_map(|service| {
            let found = service.credentials.iter().find(|credential| credential.id == id)?;
            let counts = hash.is(&found.hash) && found.expires_at.is_none_or(|end| now < end);
            let scopes = service.scopes.clone();
            counts.then(|| Caller { service: service.name, credential: id.clone(), scopes })
        })
    }
}
