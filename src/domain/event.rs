//! What is worth a line in the audit log.
//!
//! Owns the closed list of event types, in the words of OWASP's logging vocabulary where it has one, and who can
//! cause them. Must never carry a token, a password or what somebody typed.

use super::UserId;

/// A security event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An account was made.
    UserCreated,
    /// Somebody signed in; a session was issued.
    LoginSuccess,
    /// A session was ended by somebody.
    SessionRevoked,
    /// An administrator has ended the sessions that fit a filter.
    SessionsRevokedByFilter,
    /// A session's token was renewed.
    SessionRenewed,
    /// A live session was shown by another browser or system than the one it is bound to.
    DeviceChanged,
    /// Somebody who is signed in proved again who they are.
    Reauthenticated,
    /// A password was changed by its owner.
    PasswordChanged,
    /// A link to set a new password was made.
    PasswordResetIssued,
    /// A password was set with such a link.
    PasswordReset,
    /// An account was disabled.
    UserDisabled,
    /// An account was enabled again.
    UserEnabled,
    /// An account's roles were changed.
    RolesChanged,
    /// Very many wrong passwords in a short time, on one node.
    GuessingFlood,
    /// Something strange was found about a user's sessions.
    AlertOpened,
    /// Somebody has taken note of that.
    AlertAcknowledged,
    /// A restored copy of the ledger was declared to be the ledger; every session ended.
    LedgerRestored,
}

impl Event {
    /// The event's name in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserCreated => "user_created",
            Self::LoginSuccess => "authn_login_success",
            Self::SessionRevoked => "session_revoked",
            Self::SessionsRevokedByFilter => "sessions_revoked_by_filter",
            Self::SessionRenewed => "session_renewed",
            Self::DeviceChanged => "session_device_changed",
            Self::Reauthenticated => "authn_reauthenticated",
            Self::PasswordChanged => "authn_password_change",
            Self::PasswordResetIssued => "authn_password_reset_issued",
            Self::PasswordReset => "authn_password_reset",
            Self::UserDisabled => "user_disabled",
            Self::UserEnabled => "user_enabled",
            Self::RolesChanged => "authz_change",
            Self::GuessingFlood => "excess_rate_limit_exceeded",
            Self::AlertOpened => "alert_opened",
            Self::AlertAcknowledged => "alert_acknowledged",
            Self::LedgerRestored => "sys_ledger_restored",
        }
    }
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in user: the account's owner or an administrator.
    User(UserId),
    /// Whoever holds the link or the password, not signed in.
    Anonymous,
    /// An operator at the command line.
    CommandLine,
    /// The server by one of its own rules.
    Server,
}

impl Actor {
    /// The actor's name in the audit log.
    pub fn name(self) -> String {
        match self {
            Self::User(id) => id.to_string(),
            Self::Anonymous => "anonymous".to_owned(),
            Self::CommandLine => "command line".to_owned(),
            Self::Server => "server".to_owned(),
        }
    }
}
