//! What is worth a line in the audit log.
//!
//! Owns the closed list of event types, in the words of OWASP's logging vocabulary where it has one, and who can
//! cause them. Must never carry a token, a password or what somebody typed.

use super::UserId;

/// A security event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// An account was made.
    UserCreated,
    /// Somebody signed in; a session was issued.
    LoginSuccess,
    /// A sign-in was refused: the address, the password, or the account is disabled.
    LoginFail,
    /// A password was not even compared: there were too many wrong ones. One line counts those of a minute.
    LoginFailMax,
    /// Somebody who is signed in gave a wrong password.
    PasswordFail,
    /// Very many session tokens from one address opened nothing. One line counts those of a minute.
    TokenFail,
    /// Something was asked for that the account may not do.
    AccessFail,
    /// A request was refused that a page of somebody else may have made.
    Forgery,
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
    /// A link was refused: it was used, replaced, too old, or never made.
    PasswordResetFail,
    /// An account was disabled.
    UserDisabled,
    /// An account was locked: no password opens it until a new one is set with a link.
    UserLocked,
    /// An account was enabled again.
    UserEnabled,
    /// An account was deleted, with all that is personal about it.
    UserDeleted,
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
    /// All there are.
    pub const ALL: &[Self] = &[
        Self::UserCreated,
        Self::LoginSuccess,
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
