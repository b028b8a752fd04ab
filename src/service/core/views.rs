//! Views: what users see of users and sessions.
//!
//! Owns the types that leave the service. Must never hold a token, a hash of one, or a password.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::session::Deadlines;
use crate::domain::{Acting, ActorKind, Device, DeviceCookie, Place, Role, SessionId, Timestamp, Token, UserId};
use crate::ledger::sessions::Session;
use crate::ledger::users::User;
use crate::service::core::last_use::LastUse;

/// A user as shown to themselves and to administrators.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserView {
    /// The user's public id, a UUIDv7.
    #[schema(value_type = Uuid)]
    pub id: UserId,
    /// The address as typed at registration, or as an application gave it; null if it gave none.
    #[schema(example = "ana@example.org")]
    pub email: Option<String>,
    /// Whether the owner has confirmed the address. Always false: this service sends no mail, so the address proves
    /// nothing to an application.
    pub email_verified: bool,
    /// The name to show, if there is one.
    #[schema(example = "Ana Silva")]
    pub name: Option<String>,
    /// The user's roles.
    pub roles: Vec<Role>,
    /// An application's own name for a user whom it has verified; null for an account of this server.
    #[schema(example = "user-4711")]
    pub subject: Option<String>,
    /// What that application says about the user, a JSON object.
    #[schema(value_type = Option<Object>, example = json!({ "plan": "gold" }))]
    pub claims: Option<serde_json::Value>,
    /// When the account was created, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl UserView {
    /// How people recognise the user: by the address, or by the application's name for them.
    pub fn known_as(&self) -> &str {
        self.email.as_deref().or(self.subject.as_deref()).unwrap_or_default()
    }
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: (!user.email.is_empty()).then(|| user.email.clone()),
            email_verified: false,
            name: user.name.clone(),
            roles: user.roles.to_vec(),
            subject: user.subject.clone(),
            claims: user.claims.as_deref().and_then(|json| serde_json::from_str(json).ok()),
            created_at: user.created_at,
        }
    }
}

/// A user as shown to administrators.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserRow {
    /// The user.
    #[serde(flatten)]
    pub user: UserView,
    /// When the account was disabled; null if it is enabled.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
    /// Whether no password works until a reset link sets a new one.
    pub locked: bool,
    /// The number of live sessions; it may be a minute behind.
    pub live_sessions: usize,
}

/// Who acts in a session for its user.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[non_exhaustive]
pub struct ActorView {
    /// An agent (a program), or an administrator.
    pub kind: ActorKind,
    /// The id, as whoever issued the session names it; of an administrator of this server the user's id.
    #[schema(example = "assistant-7")]
    pub id: String,
    /// Why, in the words of an administrator of this server; null for all others.
    pub reason: Option<String>,
}

impl From<Acting> for ActorView {
    fn from(Acting { party, reason }: Acting) -> Self {
        let reason = reason.map(|reason| reason.as_str().to_owned());
        Self { kind: party.kind(), id: party.id().to_owned(), reason }
    }
}

/// A session as shown to its owner. Serializes to the JSON of sessiond's own `GET /sessions`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[non_exhaustive]
pub struct SessionView {
    /// The session's public id, a UUIDv7. It only names the session.
    #[schema(value_type = Uuid)]
    pub id: SessionId,
    /// Whether this is the session of the request.
    pub current: bool,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last used.
    #[schema(value_type = String, format = DateTime)]
    pub last_seen_at: Timestamp,
    /// When its owner last proved their identity.
    #[schema(value_type = String, format = DateTime)]
    pub authenticated_at: Timestamp,
    /// When it ends in any case.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it ends if it is not used again.
    #[schema(value_type = String, format = DateTime)]
    pub idle_expires_at: Timestamp,
    /// The IP address of the last use.
    #[schema(example = "192.0.2.7")]
    pub ip: String,
    /// The location of that address (`Lisbon, PT`); null when not known.
    #[schema(example = "Lisbon, PT")]
    pub location: Option<String>,
    /// The browser and system of the sign-in.
    pub device: Device,
    /// Whether its cookie survives the end of the browser session.
    pub remember: bool,
    /// Who acts in it for the user; null in the user's own sessions.
    pub actor: Option<ActorView>,
}

impl SessionView {
    /// From the ledger's row and the last known use.
    pub(in crate::service) fn new(session: &Session, last: LastUse, current: Option<SessionId>) -> Self {
        let deadlines = Deadlines { last_seen: last.at, ..session.deadlines() };
        Self {
            id: session.id,
            current: current == Some(session.id),
            created_at: session.created_at,
            last_seen_at: deadlines.last_seen,
            authenticated_at: session.authenticated_at,
            expires_at: session.expires_at,
            idle_expires_at: deadlines.idle_expires(),
            ip: last.ip,
            location: location(last.place),
            device: Device::from_user_agent(session.user_agent.as_deref()),
            remember: session.remember,
            actor: session.acting().map(ActorView::from),
        }
    }
}

/// The location as text: `Lisbon, PT`, or the country alone.
fn location(place: Place) -> Option<String> {
    let country = place.country?;
    Some(place.city.map_or_else(|| country.clone(), |city| format!("{city}, {country}")))
}

/// The current user and session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Me {
    /// The user, fresh from the ledger.
    pub user: UserView,
    /// The current session.
    pub session: SessionView,
}

/// A session whose token was renewed.
#[derive(Debug)]
pub struct Renewed {
    /// The new token, only for the cookie.
    pub token: Token,
    /// The session, which keeps its id.
    pub session: SessionView,
    /// The device cookie, if the owner has just shown the password on this browser.
    pub device: Option<DeviceCookie>,
    /// Whether every record of the old token is gone. If not, the change is done and the invalidation goes on.
    pub invalidated: bool,
}
