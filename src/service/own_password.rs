//! The password of somebody who is signed in, asked for once more.
//!
//! Owns the one place where that is done, whatever it is done for: a change of the password or a proof for something
//! else. Each is an attempt that is counted. Must never tell a wrong password from one that cannot be compared.

use super::gate::Source;
use super::{App, Throttled, Unavailable};
use crate::domain::password::Verdict;
use crate::domain::{Client, DeviceCookie, Password, UserId};
use crate::ledger::users::{self, User};

/// Why somebody has not proven who they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotProven {
    /// It is another password.
    #[error("it is another password")]
    WrongPassword,
    /// Too many passwords were tried.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// There is no such user any more.
    #[error("there is no such user any more")]
    Gone,
    /// Nobody can tell now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl App {
    /// The user, if this is their password. Whatever follows compares the epoch in its own transaction: the password may
    /// be changed before that.
    pub(super) async fn own_password(
        &self,
        user: UserId,
        password: Password,
        device: Option<&DeviceCookie>,
        client: &Client,
    ) -> Result<User, NotProven> {
        let found =
            self.shared.ledger.read_at_entrance(move |db| users::find(db, user)).await.map_err(Unavailable::from)?;
        let user = found.ok_or(NotProven::Gone)?;
        let attempt = self.reserve_attempt(&user.email_key, device, client).await?;
        let verdict =
            self.shared.gate.verify(Source::familiar(client), password, Some(user.password_hash.clone())).await;
        match attempt.settle(verdict, true).await? {
            Verdict::Match { .. } => Ok(user),
            Verdict::Mismatch | Verdict::Unusable => Err(NotProven::WrongPassword),
        }
    }
}
