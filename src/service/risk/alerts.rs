//! Alerts: administrators list and acknowledge them.
//!
//! Owns these two use cases. [`super::judge`] opens an alert.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::event::Event;
use crate::domain::risk::Signal;
use crate::domain::{AlertId, SessionId, Timestamp, UserId};

pub use crate::ledger::alerts::AlertState;
use crate::ledger::alerts::{self, Alert};
use crate::ledger::audit;
use crate::service::core::audit_context::AuditContext;
use crate::service::core::authority::Granted;
use crate::service::core::denied::Denied;
use crate::service::core::unavailable::Unavailable;
use crate::service::risk::Risk;

/// An alert as administrators see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertView {
    /// The alert's id, a UUIDv7.
    #[schema(value_type = Uuid)]
    pub id: AlertId,
    /// When the alert was opened.
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    /// The user that it is about.
    pub user: AlertUser,
    /// The sum of the weights; an alert that has grown shows the largest.
    pub risk: i64,
    /// The reaction: `alert`, `step_up` or `revoke`.
    #[schema(example = "alert")]
    pub action: String,
    /// The matched rules.
    pub signals: Vec<SignalView>,
    /// The ids of the sessions concerned, in the order of their sign-ins.
    #[schema(value_type = Vec<Uuid>)]
    pub sessions: Vec<SessionId>,
    /// When an administrator acknowledged it; null while it is open.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Timestamp>,
    /// Who acknowledged it: the administrator's id, or `command line`.
    pub acknowledged_by: Option<String>,
}

/// The user that an alert is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertUser {
    /// The user's id.
    #[schema(value_type = Uuid)]
    pub id: UserId,
    /// Their address; null when the account no longer exists.
    #[schema(example = "ana@example.org")]
    pub email: Option<String>,
}

/// A matched rule.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SignalView {
    /// The rule's name.
    #[schema(example = "new_country")]
    pub rule: &'static str,
    /// Its weight at that time.
    pub weight: u32,
    /// The reason in words.
    #[schema(example = "BR is a new country: earlier sessions were in PT.")]
    pub reason: String,
}

impl From<Signal> for SignalView {
    fn from(signal: Signal) -> Self {
        Self { rule: signal.rule.name(), weight: signal.weight, reason: signal.reason }
    }
}

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id,
            opened_at: alert.opened_at,
            user: AlertUser { id: alert.user, email: alert.email },
            risk: alert.risk,
            action: alert.action,
            signals: alert.signals.into_iter().map(SignalView::from).collect(),
            sessions: alert.sessions,
            acknowledged_at: alert.acknowledged_at,
            acknowledged_by: alert.acknowledged_by,
        }
    }
}

/// Why an alert was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    /// The alert does not exist.
    #[error("there is no such alert")]
    Unknown,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl Risk {
    /// Lists alerts of all users or of one, the newest first, older than the given one, up to a limit.
    pub async fn list_alerts(
        &self,
        state: AlertState,
        user: Option<UserId>,
        before: Option<AlertId>,
        limit: i64,
    ) -> Result<Vec<AlertView>, Unavailable> {
        let alerts = self.core.ledger.read(move |db| alerts::page(db, state, user, before, limit)).await?;
        Ok(alerts.into_iter().map(AlertView::from).collect())
    }

    /// Acknowledges an alert. Repeating it changes nothing and is no error.
    pub async fn acknowledge_alert(&self, id: AlertId, context: &AuditContext) -> Result<(), AlertError> {
        let (room, context) = (self.clone(), context.clone());
        let noted = self.core.write(move |db| {
            // An alert's user never changes.
            let about = alerts::user_of(db, id)?;
            if let Err(unproven) = room.core.lock(db, context.authority.as_ref(), about.as_slice())? {
                return Ok(Err(unproven));
            }
            let noted = alerts::acknowledge(db, id, room.core.clock().now(), &context.actor.name())?;
            if noted == Some(true) {
                let mut line = room.audit.entry(Event::AlertAcknowledged, &context, about, None);
                line.detail = Some(id.to_string());
                audit::append(db, &line)?;
            }
            Ok(Ok(noted))
        });
        let noted: Granted<_> = noted.await.map_err(Denied::from)?;
        noted?.map(drop).ok_or(AlertError::Unknown)
    }
}
