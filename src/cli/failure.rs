//! Why a command failed: one sentence and an exit code.
//!
//! Owns [`Failure`], and the service layer's errors in words for an operator. Must never show a secret.

use std::io;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::service::{AdminError, Denied, RegisterError, StartError, Unavailable};
use crate::telemetry::TelemetryError;

/// The kind of failure.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The command or a setting is wrong.
    Usage(String),
    /// The command is valid but could not be done.
    Failed(String),
    /// The result cannot be written to standard output.
    Unwritten(String),
    /// The reader of the output has closed it (`sessiond user list | head`): no message, and no error.
    ReaderGone,
}

impl Failure {
    /// A failure with its sentence; joins a library's message of several lines into one.
    pub fn failed(sentence: impl AsRef<str>) -> Self {
        let words: Vec<_> = sentence.as_ref().split_whitespace().filter(|word| *word != ".").collect();
        Self::Failed(words.join(" "))
    }

    /// The change is done, but a node may not know yet.
    pub fn unconfirmed() -> Self {
        Self::failed(UNCONFIRMED)
    }

    /// The same failure of a command that had already done its work: a lost output undoes nothing.
    #[must_use]
    pub fn after(self, done: &str) -> Self {
        match self {
            Self::Unwritten(why) => Self::Unwritten(format!("{done}, but {why}")),
            other => other,
        }
    }

    /// The same failure of a command that had done nothing yet.
    #[must_use]
    pub fn before_anything(self) -> Self {
        match self {
            Self::Unwritten(why) => Self::failed(format!("Nothing was done: {why}")),
            Self::ReaderGone => {
                Self::failed("Nothing was done: the output is closed, so nobody can answer the question.")
            }
            other => other,
        }
    }

    /// The sentence for standard error.
    pub fn sentence(&self) -> Option<&str> {
        match self {
            Self::Usage(sentence) | Self::Failed(sentence) | Self::Unwritten(sentence) => Some(sentence),
            Self::ReaderGone => None,
        }
    }

    /// The exit code for the shell.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::ReaderGone => 0,
            Self::Failed(_) | Self::Unwritten(_) => 1,
            Self::Usage(_) => 2,
        })
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<TelemetryError> for Failure {
    fn from(error: TelemetryError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(format!("{error}."))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::failed(format!("The database cannot be used at the moment: {error}."))
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unconfirmed(_) => Self::failed(UNCONFIRMED),
            Denied::Throttled(throttled) => Self::Failed(throttled.to_string()),
            // The command line has no session that could have ended or be too old.
            Denied::StepUpRequired(_) | Denied::Ended | Denied::Forbidden => Self::failed(format!("{denied}.")),
            Denied::Unavailable(error) => error.into(),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::UnknownUser => Self::failed("The account no longer exists."),
            AdminError::IsSubject => {
                Self::failed("An application verifies this user, so there is no password here to set.")
            }
            AdminError::LastAdministrator => Self::failed(
                "This is the last administrator: make another one first (`sessiond user grant`), or use --force.",
            ),
            AdminError::Denied(denied) => denied.into(),
        }
    }
}

const UNCONFIRMED: &str = "The change is in the database, but no node has confirmed yet that Redis no longer has the \
    sessions: a running node will confirm it, and until then nodes may still accept them.";

impl From<RegisterError> for Failure {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::InvalidEmail(sentence)
            | RegisterError::WeakPassword(sentence)
            | RegisterError::InvalidName(sentence) => Self::Failed(sentence),
            RegisterError::EmailTaken => Self::failed("An account with this e-mail address already exists."),
            RegisterError::Closed => Self::failed("Registration is closed."),
            RegisterError::Denied(denied) => denied.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let said = "The database cannot be used: connection refused\n\tIs the server running?\n.";
        let one = "The database cannot be used: connection refused Is the server running?";
        assert_eq!(Failure::failed(said).sentence(), Some(one));
    }
}
