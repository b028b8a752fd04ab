//! A line of the audit log about something that happens now.
//!
//! Owns what every line says. Must never be written outside of the transaction of what it tells.

use super::Audit;
use crate::domain::event::Event;
use crate::domain::{SessionId, UserId};
use crate::ledger::audit;
use crate::service::core::audit_context::AuditContext;

impl Audit {
    /// A line of the audit log about something that happens now.
    pub(in crate::service) fn entry(
        &self,
        event: Event,
        who: &AuditContext,
        user: Option<UserId>,
        session: Option<SessionId>,
    ) -> audit::Entry {
        // The id begins with the very moment: lines are read in its order.
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
