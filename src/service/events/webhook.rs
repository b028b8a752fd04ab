//! Webhook messages: what other systems learn about each event, written in the event's own transaction.
//!
//! Owns the bodies. They hold ids and as little personal data as a receiver needs: no token, no hash, no address. Must
//! never send anything (the jobs do): no sign-in or sign-out waits for a receiver.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::event::Actor;
use crate::domain::webhook::Notice;
use crate::domain::{Acting, EndReason, SessionId, Timestamp, UserId};
use crate::fault_point;
use crate::ledger::outbox::{self, Message};
use crate::ledger::sessions::{Ended, Session};
use crate::ledger::{Db, LedgerError};
use crate::service::core::audit_context::AuditContext;
use crate::service::events::Events;

/// The body of an alert.
#[derive(Clone, Copy, Debug)]
pub struct AlertOpened<'a, S> {
    /// The alert's id.
    pub id: Uuid,
    /// The user that it is about.
    pub user: UserId,
    /// The risk score.
    pub risk: i64,
    /// The reaction: alert, step_up, revoke.
    pub action: &'a str,
    /// The matched rules, each with its weight and the reason in words.
    pub signals: &'a [S],
    /// The sessions concerned.
    pub sessions: &'a [SessionId],
}

impl Events {
    /// Writes an alert's message, inside the transaction that opens the alert.
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
                "actor": session.acting().map(actor),
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
                "actor": session.acting.clone().map(actor),
                // A sign-out requires only the session's own cookie.
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

    /// Adds a message, if there is a receiver. A user's messages arrive in order, and so do those of each session.
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
        outbox::add(db, &Message { id: self.core.new_id(), ordering_key: user.to_string(), notice, body, at })?;
        webhook_client.told();
        fault_point::reach("webhook: message added");
        Ok(())
    }
}

pub(in crate::service) fn body(notice: Notice, at: Timestamp, data: Value) -> String {
    json!({ "type": notice.name(), "timestamp": at, "data": data }).to_string()
}

/// Who acts in the session, without the reason: that is for the user.
fn actor(acting: Acting) -> Value {
    json!({ "kind": acting.party.kind(), "id": acting.party.id() })
}

/// The actor, from the affected account's point of view.
fn by(context: &AuditContext, owner: UserId) -> &'static str {
    match context.actor {
        Actor::User(id) if id == owner => "owner",
        Actor::User(_) => "administrator",
        Actor::Anonymous => "anonymous",
        Actor::Service(_) => "service",
        Actor::CommandLine => "command_line",
        Actor::Server => "server",
    }
}
