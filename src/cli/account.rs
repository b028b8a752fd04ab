//! Accounts that commands name: by address, by id, or by an application's subject.
//!
//! Owns the search for them, and the words when there is none.

use crate::domain::{Role, Subject, UserId};
use crate::service::{App, UserRow};

use super::failure::Failure;

/// An account that a command acts on, as stored: the typed address may have another spelling.
pub struct Account {
    /// Its id.
    pub id: UserId,
    /// Its address; `None` if the account was deleted.
    pub email: Option<String>,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Whether no password opens it until a link sets one.
    pub locked: bool,
    /// Whether it is disabled.
    pub disabled: bool,
    is_subject: bool,
}

impl Account {
    /// Its name in a sentence.
    pub fn name(&self) -> String {
        self.email.clone().unwrap_or_else(|| self.id.to_string())
    }
}

/// The account with this address or id, or the user whom an application calls so. Never one of two: anybody may register the
/// address that is another user's subject.
pub async fn find(app: &App, user: &str) -> Result<Account, Failure> {
    let (row, kind) = match UserId::parse(user) {
        Some(id) => (app.users.find_user_by_id(id).await?, "id"),
        None => match (app.users.find_user(user).await?, of_subject(app, user).await?) {
            (Some(account), Some(subject)) => {
                return Err(Failure::failed(format!(
                    "There are an account and a subject {user:?}: name the account by its id {}, or the subject by {}.",
                    account.user.id, subject.user.id
                )));
            }
            (account, subject) => (account.or(subject), "address or subject"),
        },
    };
    let account = row.map(|row| Account {
        id: row.user.id,
        email: Some(row.user.known_as().to_owned()),
        roles: row.user.roles.clone(),
        locked: row.locked,
        disabled: row.disabled_at.is_some(),
        is_subject: row.user.subject.is_some(),
    });
    account.ok_or_else(|| Failure::failed(format!("There is no account with the {kind} {user:?}.")))
}

/// The account with this address or id, if it has a password to lock.
pub async fn lockable(app: &App, user: &str) -> Result<Account, Failure> {
    let account = find(app, user).await?;
    match account.is_subject {
        false => Ok(account),
        true => Err(Failure::failed(
            "An application verifies this user, so there is no password here: see `sessiond user disable`.",
        )),
    }
}

/// The user whom an application calls so.
async fn of_subject(app: &App, text: &str) -> Result<Option<UserRow>, Failure> {
    let Ok(subject) = Subject::parse(text) else { return Ok(None) };
    match app.users.find_subject(subject).await? {
        Some(id) => Ok(app.users.find_user_by_id(id).await?),
        None => Ok(None),
    }
}

/// As [`find`], but an id may also name a deleted account: its deletion may have been interrupted.
pub async fn known_or_deleted(app: &App, user: &str) -> Result<Account, Failure> {
    match (find(app, user).await, UserId::parse(user)) {
        (Err(_), Some(id)) => {
            Ok(Account { id, email: None, roles: Vec::new(), locked: false, disabled: false, is_subject: false })
        }
        (found, _) => found,
    }
}
