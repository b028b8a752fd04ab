//! Import: accounts of another system, with the passwords that its users have.
//!
//! Owns what is imported of a user, and that an account which exists stays as it is: an import can be repeated, and
//! interrupted anywhere. Must never judge a password: only its hash is known.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::event::Event;
use crate::domain::password::{LOCKED, StoredHash};
use crate::domain::{Email, Roles, UserId, name};
use crate::ledger::audit;
use crate::ledger::users::{self, import};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::unavailable::Unavailable;
use crate::service::users::Users;

/// A user of another system.
#[derive(Clone)]
pub struct ImportedUser {
    email: Email,
    name: Option<String>,
    roles: Roles,
    /// None: no password opens the account until a link sets one.
    hash: Option<String>,
}

impl ImportedUser {
    /// Reads what another system says about a user.
    ///
    /// # Errors
    /// What is wrong, in one sentence without the address or the hash.
    pub fn read(email: &str, name: Option<&str>, roles: Roles, hash: Option<String>) -> Result<Self, String> {
        let email = Email::parse(email).map_err(|invalid| invalid.to_string())?;
        let name = name.map(name::tidy).transpose()?.flatten();
        if let Some(Err(unusable)) = hash.as_deref().map(StoredHash::parse) {
            return Err(format!("{unusable}."));
        }
        Ok(Self { email, name, roles, hash })
    }

    /// The address, as it is compared.
    pub fn key(&self) -> &str {
        self.email.key()
    }
}

impl Users {
    /// Adds those whose address has no account; returns how many. One transaction, so at most some hundreds.
    pub async fn import_users(
        &self,
        imported: Vec<ImportedUser>,
        context: &AuditContext,
    ) -> Result<usize, Unavailable> {
        let now = self.core.clock().now();
        let new = imported.into_iter().map(|user| {
            let id = UserId::generate(now, self.core.random());
            let mut line = self.audit.entry(Event::UserCreated, context, Some(id), None);
            line.detail = Some("imported".to_owned());
            let password_hash = user.hash.unwrap_or_else(|| LOCKED.to_owned());
            let ImportedUser { email, name, roles, .. } = user;
            (users::NewUser { id, email, name, password_hash, roles, created_at: now }, line)
        });
        let (new, lines): (Vec<_>, Vec<_>) = new.unzip();
        let (new, lines) = (Arc::new(new), Arc::new(lines));
        let added = self.core.write(move |db| {
            let added: HashSet<_> = import::insert_all(db, &new)?.into_iter().collect();
            let is_new = |line: &&audit::Entry| line.user.is_some_and(|user| added.contains(&user));
            let lines: Vec<_> = lines.iter().filter(is_new).cloned().collect();
            audit::append_all(db, &lines)?;
            Ok(lines.len())
        });
        Ok(added.await?)
    }

    /// Which of these addresses have an account: their keys.
    pub async fn known_addresses(&self, users: &[ImportedUser]) -> Result<HashSet<String>, Unavailable> {
        let emails: Vec<_> = users.iter().map(|user| user.email.clone()).collect();
        let known = self.core.ledger.read(move |db| import::known(db, &emails)).await?;
        Ok(known.into_iter().collect())
    }
}
