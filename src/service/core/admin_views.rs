//! Admin views: what administrators see of users, sessions and events.
//!
//! Owns the types that leave the service for them. Must never hold a token, a hash of one, or a password.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{SessionId, Timestamp, UserId};
use crate::ledger::audit::Line;
use crate::ledger::sessions::Session;
use crate::service::core::last_use::LastUse;
use crate::service::core::views::{SessionView, UserRow};

/// A session as shown to administrators.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionDetail {
    /// The session as its owner sees it.
    #[serde(flatten)]
    pub session: SessionView,
    /// The owner's id.
    #[schema(value_type = Uuid)]
    pub user_id: UserId,
    /// The country of the sign-in: two letters of ISO 3166-1; null when not known.
    #[schema(example = "PT")]
    pub country: Option<String>,
    /// The city of the sign-in; null when not known.
    #[schema(example = "Lisbon")]
    pub city: Option<String>,
    /// The network (autonomous system number) of the sign-in; null when not known.
    #[schema(example = 64496)]
    pub asn: Option<i64>,
    /// That network's name; null when not known.
    #[schema(example = "Example Networks")]
    pub network: Option<String>,
    /// The country of the last use; null when not known.
    pub last_country: Option<String>,
    /// The city of the last use; null when not known.
    pub last_city: Option<String>,
    /// The network (autonomous system number) of the last use; null when not known.
    pub last_asn: Option<i64>,
    /// That network's name; null when not known.
    pub last_network: Option<String>,
    /// The IP address of the sign-in.
    #[schema(example = "192.0.2.7")]
    pub sign_in_ip: String,
    /// The risk score; 0 is none.
    pub risk: i64,
}

impl SessionDetail {
    /// From a row and its last use.
    pub(in crate::service) fn new(row: &Session, last: LastUse, current: Option<SessionId>) -> Self {
        let place = last.place.clone();
        Self {
            session: SessionView::new(row, last, current),
            user_id: row.user_id,
            country: row.country.clone(),
            city: row.city.clone(),
            asn: row.asn,
            network: row.network.clone(),
            last_country: place.country,
            last_city: place.city,
            last_asn: place.asn,
            last_network: place.network,
            sign_in_ip: row.sign_in_ip.clone(),
            risk: row.risk,
        }
    }
}

/// A session that is over, as shown to administrators.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EndedSessionView {
    /// The session.
    #[serde(flatten)]
    pub session: SessionDetail,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    /// Why it ended: `signed_out`, `revoked`, `disabled`, …; `expired` if it timed out.
    #[schema(example = "signed_out_elsewhere")]
    pub end_reason: String,
}

/// The session was not ended: its time was up.
const EXPIRED: &str = "expired";

impl EndedSessionView {
    pub(in crate::service) fn new(row: &Session) -> Self {
        let session = SessionDetail::new(row, LastUse::of(row), None);
        let time_was_up = session.session.idle_expires_at.min(session.session.expires_at);
        Self {
            ended_at: row.ended_at.map_or(time_was_up, Timestamp::from_ms),
            end_reason: row.end_reason.clone().unwrap_or_else(|| EXPIRED.to_owned()),
            session,
        }
    }
}

/// A user with their sessions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserDetail {
    /// The user.
    pub user: UserRow,
    /// The live sessions, the last used first.
    pub sessions: Vec<SessionDetail>,
    /// The ended sessions, the last one first, at most 50.
    pub history: Vec<EndedSessionView>,
}

/// A line of the audit log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventView {
    /// The line's id, a UUIDv7.
    #[schema(format = Uuid)]
    pub id: String,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The event, with its name from OWASP's logging vocabulary if there is one.
    #[schema(example = "authn_login_success")]
    pub event: String,
    /// The actor: a user's id, `anonymous`, `command line` or `server`.
    #[schema(example = "anonymous")]
    pub actor: String,
    /// The affected user.
    #[schema(format = Uuid)]
    pub user_id: Option<String>,
    /// The affected session.
    #[schema(format = Uuid)]
    pub session_id: Option<String>,
    /// The client's address.
    #[schema(example = "192.0.2.7")]
    pub ip: Option<String>,
    /// The request's id.
    #[schema(format = Uuid)]
    pub request_id: Option<String>,
    /// More detail: a reason, a number.
    pub detail: Option<String>,
}

impl From<Line> for EventView {
    fn from(line: Line) -> Self {
        Self {
            id: line.id,
            at: Timestamp::from_ms(line.at),
            event: line.event,
            actor: line.actor,
            user_id: line.user_id,
            session_id: line.session_id,
            ip: line.ip,
            request_id: line.request_id,
            detail: line.detail,
        }
    }
}
