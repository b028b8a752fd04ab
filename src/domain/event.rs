//! Security events: what the audit log records.
//!
//! Owns the closed list of event types, in the words of OWASP's logging vocabulary where it has one, and the actors who
//! cause them. Must never carry a token, a password or typed text.

use super::{ServiceName, UserId};

/// A security event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// An account was made.
    UserCreated,
    /// A user signed in; a session was issued.
    LoginSuccess,
    /// Somebody got a session in which to act for a user: an agent, or an administrator with a reason.
    ActingSessionIssued,
    /// A sign-in was refused: wrong address, wrong password, or a disabled account.
    LoginFail,
    /// Too many wrong passwords: the password was not compared. One line counts the refusals of a minute.
    LoginFailMax,
    /// A signed-in user gave a wrong password.
    PasswordFail,
    /// Very many session tokens from one address opened nothing. One line counts those of a minute.
    TokenFail,
    /// Something was asked for that the account may not do.
    AccessFail,
    /// A request was refused that another site's page may have made.
    Forgery,
    /// A user, an operator or a rule ended a session.
    SessionRevoked,
    /// An administrator ended the sessions that match a filter.
    SessionsRevokedByFilter,
    /// A session's token was renewed.
    SessionRenewed,
    /// Another browser or system than the bound one presented a live session.
    DeviceChanged,
    /// A signed-in user proved their identity again.
    Reauthenticated,
    /// The owner changed the password.
    PasswordChanged,
    /// A link to set a new password was created.
    PasswordResetIssued,
    /// A password was set with such a link.
    PasswordReset,
    /// A reset link was refused: used, replaced, too old, or never issued.
    PasswordResetFail,
    /// An account was disabled.
    UserDisabled,
    /// An account was locked: no password opens it until a new one is set with a link.
    UserLocked,
    /// An account was enabled again.
    UserEnabled,
    /// An account was deleted with all its personal data.
    UserDeleted,
    /// An account's roles were changed.
    RolesChanged,
    /// Very many wrong passwords in a short time, on one node.
    GuessingFlood,
    /// The rules found something unusual about a user's sessions.
    AlertOpened,
    /// The alert was acknowledged.
    AlertAcknowledged,
    /// A restored copy of the ledger was declared to be the ledger; every session ended.
    LedgerRestored,
    /// An application may have sessions of its users here.
    ServiceAdded,
    /// A service got another secret.
    ServiceSecretRotated,
    /// A service's secrets open nothing any more.
    ServiceRemoved,
    /// The keys that sign tokens for services were replaced.
    SigningKeysRotated,
    /// An application's old token was exchanged for a session.
    TokenExchanged,
    /// Such a token was refused.
    TokenExchangeFail,
}

impl Event {
    /// All events.
    pub const ALL: &[Self] = &[
        Self::UserCreated,
        Self::LoginSuccess,
        Self::ActingSessionIssued,
        Self::LoginFail,
        Self::LoginFailMax,
        Self::PasswordFail,
        Self::TokenFail,
        Self::AccessFail,
        Self::Forgery,
        Self::SessionRevoked,
        Self::SessionsRevokedByFilter,
        Self::SessionRenewed,
        Self::DeviceChanged,
        Self::Reauthenticated,
        Self::PasswordChanged,
        Self::PasswordResetIssued,
        Self::PasswordReset,
        Self::PasswordResetFail,
        Self::UserDisabled,
        Self::UserLocked,
        Self::UserEnabled,
        Self::UserDeleted,
        Self::RolesChanged,
        Self::GuessingFlood,
        Self::AlertOpened,
        Self::AlertAcknowledged,
        Self::LedgerRestored,
        Self::ServiceAdded,
        Self::ServiceSecretRotated,
        Self::ServiceRemoved,
        Self::SigningKeysRotated,
        Self::TokenExchanged,
        Self::TokenExchangeFail,
    ];

    /// The event of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }

    /// The event's name in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserCreated => "user_created",
            Self::LoginSuccess => "authn_login_success",
            Self::ActingSessionIssued => "acting_session_issued",
            Self::LoginFail => "authn_login_fail",
            Self::LoginFailMax => "authn_login_fail_max",
            Self::PasswordFail => "authn_password_fail",
            Self::TokenFail => "authn_token_fail",
            Self::AccessFail => "authz_fail",
            Self::Forgery => "csrf_fail",
            Self::SessionRevoked => "session_revoked",
            Self::SessionsRevokedByFilter => "sessions_revoked_by_filter",
            Self::SessionRenewed => "session_renewed",
            Self::DeviceChanged => "session_device_changed",
            Self::Reauthenticated => "authn_reauthenticated",
            Self::PasswordChanged => "authn_password_change",
            Self::PasswordResetIssued => "authn_password_reset_issued",
            Self::PasswordReset => "authn_password_reset",
            Self::PasswordResetFail => "authn_password_reset_fail",
            Self::UserDisabled => "user_disabled",
            Self::UserLocked => "user_locked",
            Self::UserEnabled => "user_enabled",
            Self::UserDeleted => "user_deleted",
            Self::RolesChanged => "authz_change",
            Self::GuessingFlood => "excess_rate_limit_exceeded",
            Self::AlertOpened => "alert_opened",
            Self::AlertAcknowledged => "alert_acknowledged",
            Self::LedgerRestored => "sys_ledger_restored",
            Self::ServiceAdded => "service_added",
            Self::ServiceSecretRotated => "service_secret_rotated",
            Self::ServiceRemoved => "service_removed",
            Self::SigningKeysRotated => "signing_keys_rotated",
            Self::TokenExchanged => "authn_token_exchange",
            Self::TokenExchangeFail => "authn_token_exchange_fail",
        }
    }
}

/// Who caused the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in user: the account's owner or an administrator.
    User(UserId),
    /// The holder of a link or a password, not signed in.
    Anonymous,
    /// An application, with its secret.
    Service(ServiceName),
    /// An operator at the command line.
    CommandLine,
    /// The server, by one of its own rules.
    Server,
}

impl Actor {
    /// The actor's name in the audit log.
    pub fn name(self) -> String {
        match self {
            Self::User(id) => id.to_string(),
            Self::Anonymous => "anonymous".to_owned(),
            Self::Service(name) => format!("service {name}"),
            Self::CommandLine => "command line".to_owned(),
            Self::Server => "server".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_events_is_whole_and_each_has_a_name_of_its_own() {
        let named = include_str!("event.rs")
            .lines()
            .filter(|line| line.trim().starts_with("Self::") && line.contains("=> \"") && line.ends_with("\","));
        assert_eq!(Event::ALL.len(), named.count());
        for event in Event::ALL {
            assert_eq!(Event::parse(event.name()), Some(*event));
        }
        assert_eq!(Event::parse("nonsense"), None);
    }
}
