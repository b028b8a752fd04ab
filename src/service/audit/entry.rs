//! Entry: a line of the audit log about a current event.
//!
//! Owns the content that every line has. Must never be written outside the transaction that it describes.

use super::Audit;
use crate::domain::event::Event;
use crate::domain::{SessionId, UserId};
use crate::ledger::audit;
use crate::service::core::audit_context::AuditContext;

impl Audit {
    /// A line of the audit log about a current event.
    pub(in crate::service) fn entry(
        &self,
        event: Event,
        who: &AuditContext,
        user: Option<UserId>,
        session: Option<SessionId>,
    ) -> audit::Entry {
        // The id starts with this very moment: lines are read in the order of their ids.
        let now = self.core.clock().now();
        audit::Entry {
            id: self.core.line_id(now),
            at: now,
            event,
            actor: who.actor,
            user,
            session,
            ip: who.client.as_ref().map(|client| client.ip),
            request_id: who.client.as_ref().map(|client| client.request_id),
            detail: None,
        }
    }
}
