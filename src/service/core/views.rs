//! What people are shown of users and sessions.
//!
//! Owns the shapes that leave the service. None of them has a place for a token, a hash of one, or a password.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::session::Deadlines;
use crate::domain::{Device, DeviceCookie, Place, Role, SessionId, Timestamp, Token, UserId};
use crate::ledger::sessions::Session;
use crate::ledger::users::User;
use crate::service::core::last_use::LastUse;

/// A user as shown to themselves and to administrators.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserView {
    /// The user's public id, a UUIDv7.
    #[schema(value_type = Uuid)]
    pub id: UserId,
    /// The address as typed at registration.
    #[schema(example = "ana@example.org")]
    pub email: String,
    /// Whether somebody has shown that mail to the address reaches them. Always false: no mail is sent, so that the
    /// address is what its owner said, and proves nothing to an application.
    pub email_verified: bool,
    /// The name to show, if there is one.
    #[schema(example = "Ana Silva")]
    pub name: Option<String>,
    /// What the user may do.
    pub roles: Vec<Role>,
    /// When the account was made, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.clone(),
            email_verified: false,
            name: user.name.clone(),
            roles: user.roles.to_vec(),
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
    /// Since when the account may not sign in; null when it may.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
    /// Whether no password opens the account until a new one is set with a link.
    pub locked: bool,
    /// How many sessions are alive, as far as the ledger knows: it may be a minute behind.
    pub live_sessions: usize,
}

/// A session as shown to its owner.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// The session's public id, a UUIDv7. Good for nothing but naming it.
    #[schema(value_type = Uuid)]
    pub id: SessionId,
    /// Whether it is the session that asks.
    pub current: bool,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last used.
    #[schema(value_type = String, format = DateTime)]
    pub last_seen_at: Timestamp,
    /// When its owner last proved who they are.
    #[schema(value_type = String, format = DateTime)]
    pub authenticated_at: Timestamp,
    /// When it ends whatever happens.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it ends if it is not used again.
    #[schema(value_type = String, format = DateTime)]
    pub idle_expires_at: Timestamp,
    /// The address it was last used from.
    #[schema(example = "192.0.2.7")]
    pub ip: String,
    /// Where that is (`Lisbon, PT`); null when not known.
    #[schema(example = "Lisbon, PT")]
    pub location: Option<String>,
    /// The browser and system it was issued to.
    pub device: Device,
    /// Whether its cookie outlives the browser.
    pub remember: bool,
}

impl SessionView {
    /// What the ledger knows, and the last use as it is known.
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
        }
    }
}

/// The place in words: `Lisbon, PT`, or the country alone.
fn location(place: Place) -> Option<String> {
    let country = place.country?;
    Some(place.city.map_or_else(|| country.clone(), |city| format!("{city}, {country}")))
}

/// Who am I, and in which session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Me {
    /// The user, fresh from the ledger.
    pub user: UserView,
    /// The session that asks.
    pub session: SessionView,
}

/// A session whose token was renewed.
#[derive(Debug)]
pub struct Renewed {
    /// The new token, for the cookie alone.
    pub token: Token,
    /// The session, which keeps its id.
    pub session: SessionView,
    /// For the browser to keep, if its owner has just shown the password on it.
    pub device: Option<DeviceCookie>,
    /// Whether no record of what was ended can stand any more. If not: it is done, and being confirmed.
    pub confirmed: bool,
}
