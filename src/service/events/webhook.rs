//! Telling other systems: what is said about which event, and that it is said in the very transaction of the event.
//!
//! Owns the bodies. They name ids and no more of a person than a receiver needs: no token, no hash, no address. Must
//! never send anything itself (see the jobs): whoever signs in or is signed out waits for no receiver.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::event::Actor;
use crate::domain::webhook::Notice;
use crate::domain::{EndReason, SessionId, Timestamp, UserId};
use crate::fault_point;
use crate::ledger::outbox::{self, Message};
use crate::ledger::sessions::{Ended, Session};
use crate::ledger::{Db, LedgerError};
use crate::service::core::audit_context::AuditContext;
use crate::service::events::Events;

/// An alert, as others are told of it.
#[derive(Clone, Copy, Debug)]
pub struct AlertOpened<'a, S> {
    /// Its id.
    pub id: Uuid,
    /// Whose sessions look strange.
    pub user: UserId,
    /// The weight of it all.
    pub risk: i64,
    /// What is done about it: alert, step_up, revoke.
    pub action: &'a str,
    /// Why: each a rule, its weight, and the reason in words.
    pub signals: &'a [S],
    /// Which sessions.
    pub sessions: &'a [SessionId],
}

impl Events {
    /// Tells of an alert, inside the transaction that opens it.
    pub fn tell_alert_opened<S: Serialize>(&self, db: &mut Db, alert: &AlertOpened<'_, S>) -> Result<(), LedgerError> {
        self.enqueue(db, Notice::AlertOpened, alert.user, || {
            json!({
                "alert_id": alert.id,
                "user_id": alert.user,
                "risk": alert.risk,
                "action": alert.action,
                "signals": alert.signals.iter().map(|one| serde_json::to_value(one).ok()).collect::<Vec<_>>(),
                "session_ids": alert.sessions,
            })
        })
    }

    pub(in crate::service) fn tell_session_created(&self, db: &mut Db, session: &Session) -> Result<(), LedgerError> {
        self.enqueue(db, Notice::SessionCreated, session.user_id, || {
            json!({
                "session_id": session.id,
                "user_id": session.user_id,
                "created_at": session.created_at,
                "expires_at": session.expires_at,
                "remember": session.remember,
            })
        })
    }

    pub(in crate::service) fn tell_session_revoked(
        &self,
        db: &mut Db,
        session: &Ended,
        reason: EndReason,
        context: &AuditContext,
    ) -> Result<(), LedgerError> {
        self.enqueue(db, Notice::SessionRevoked, session.user_id, || {
            json!({
                "session_id": session.id,
                "user_id": session.user_id,
                "reason": reason.name(),
                // Signing out takes no more than the session's own cookie.
                "by": by(context, session.user_id),
            })
        })
    }

    pub(in crate::service) fn tell_user_disabled(
        &self,
        db: &mut Db,
        user: UserId,
        context: &AuditContext,
    ) -> Result<(), LedgerError> {
        self.enqueue(db, Notice::UserDisabled, user, || json!({ "user_id": user, "by": by(context, user) }))
    }

    /// Adds a message for the receiver, if there is one. A user's messages arrive in their order, and so do those of
    /// each of their sessions.
    fn enqueue(
        &self,
        db: &mut Db,
        notice: Notice,
        user: UserId,
        data: impl FnOnce() -> Value,
    ) -> Result<(), LedgerError> {
        let Some(webhook_client) = &self.core.webhook_client else { return Ok(()) };
        let at = self.core.clock().now();
        let body = body(notice, at, data());
        outbox::add(db, &Message { id: self.core.new_id(), lane: user.to_string(), notice, body, at })?;
        webhook_client.told();
        fault_point::reach("webhook: message added");
        Ok(())
    }
}

pub(in crate::service) fn body(notice: Notice, at: Timestamp, data: Value) -> String {
    json!({ "type": notice.name(), "timestamp": at, "data": data }).to_string()
}

/// Who did it, seen from the account that it was done to.
fn by(context: &AuditContext, owner: UserId) -> &'static str {
    match context.actor {
        Actor::User(id) if id == owner => "owner",
        Actor::User(_) => "administrator",
        Actor::Anonymous => "anonymous",
        Actor::CommandLine => "command_line",
        Actor::Server => "server",
    }
}
