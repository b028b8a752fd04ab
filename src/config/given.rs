//! One setting as given, and the one-line error for an invalid one.
//!
//! Owns [`ConfigError`]. Must never put a secret into an error: only settings that hold no secret may be quoted.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::secret_file::{self, Fault};

/// An invalid or conflicting setting: one sentence that names the variable and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    variable: String,
    problem: String,
}

impl ConfigError {
    /// A sentence that starts with the variable's name.
    pub(super) fn new(variable: &str, problem: impl Into<String>) -> Self {
        Self { variable: variable.to_owned(), problem: problem.into() }
    }
}

/// A setting's text, if any, with the name of its variable and its declared default.
pub(super) struct Given<'a> {
    variable: &'static str,
    text: Option<&'a str>,
    default: Option<&'static str>,
}

impl<'a> Given<'a> {
    /// Trims the text; an empty one counts as absent.
    pub fn new(variable: &'static str, text: Option<&'a String>, default: Option<&'static str>) -> Self {
        let text = text.map(|text| text.trim()).filter(|text| !text.is_empty());
        Self { variable, text, default }
    }

    /// The text, if given.
    pub fn text(&self) -> Option<&'a str> {
        self.text
    }

    /// The text, or else the default; empty if there is neither.
    pub fn text_or_default(&self) -> &'a str {
        self.text.or(self.default).unwrap_or_default()
    }

    /// The comma-separated parts, trimmed; none if absent.
    pub fn list(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.text_or_default().split(',').map(str::trim).filter(|part| !part.is_empty())
    }

    /// The content of the file that this names; records a file that its group can reach. No error contains the file's
    /// name: it may be the secret itself, in the wrong place.
    pub fn secret_file(&self, of_group: &mut Vec<&'static str>) -> Result<Zeroizing<String>, ConfigError> {
        let file = secret_file::read(Path::new(self.text.unwrap_or_default())).map_err(|fault| match fault {
            Fault::Open => self.bad(
                "names a file that every user can read or write: run `chmod 600` on it, or mount it with the mode 0400 \
                 or 0440.",
            ),
            Fault::Unreadable(error) => self.bad(format!("names a file that cannot be read: {error}.")),
        })?;
        of_group.extend(file.of_group.then_some(self.variable));
        Ok(file.text)
    }

    /// The content of the file that this names, which all may read but not change.
    pub fn public_file(&self) -> Result<String, ConfigError> {
        secret_file::read_public(Path::new(self.text.unwrap_or_default())).map_err(|fault| match fault {
            Fault::Open => self.bad("names a file that every user can write: run `chmod o-w` on it."),
            Fault::Unreadable(error) => self.bad(format!("names a file that cannot be read: {error}.")),
        })
    }

    /// The sentence "VARIABLE problem".
    pub fn bad(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(self.variable, problem)
    }

    /// The sentence "VARIABLE is "text", which is …". Not for secrets.
    pub fn is_no(&self, text: &str, problem: impl fmt::Display) -> ConfigError {
        self.bad(format!("is {text:?}, {problem}"))
    }

    /// Parses a number between two bounds.
    pub fn number<T>(&self, least: T, most: T) -> Result<T, ConfigError>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let text = self.text_or_default();
        let within = text.parse().ok().filter(|number| *number >= least && *number <= most);
        within.ok_or_else(|| self.is_no(text, format_args!("but must be a number from {least} to {most}.")))
    }

    /// Parses one of a few words.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text_or_default();
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        chosen.ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            let words = match words.as_slice() {
                [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
                few => few.concat(),
            };
            self.is_no(text, format_args!("but can only be {words}."))
        })
    }
}
