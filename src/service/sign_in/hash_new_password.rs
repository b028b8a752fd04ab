//! New passwords: counts, judges and hashes a password that a user chooses.
//!
//! Owns the one path to a stored hash, for a new account, a change, a reset and the command line. A judgement takes as
//! long as a hash, so it is limited like an attempt, with any result, and runs on its own thread, where no sign-in
//! waits. Must never store a hash: the use case does.

use std::sync::Arc;

use crate::domain::password::WeakPassword;
use crate::domain::throttle::Counts;
use crate::domain::{Client, Password};
use crate::service::core::denied::Denied;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::hash_pool::Source;

/// Who chooses the password.
pub(in crate::service) enum Chooser<'a> {
    /// A command on the machine itself.
    Operator,
    /// Any client, for a new account.
    Stranger(&'a Client),
    /// The owner of an account, who has just shown the password or a link, with the name of the count: the session's
    /// or, with a link, the account's.
    Owner(&'a str, &'a Client),
}

/// Why a password is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::service) enum NotChosen {
    /// It is too weak; the reason.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// An error of a use case takes both over.
macro_rules! from_not_chosen {
    ($error:ty) => {
        impl From<$crate::service::sign_in::hash_new_password::NotChosen> for $error {
            fn from(why: $crate::service::sign_in::hash_new_password::NotChosen) -> Self {
                match why {
                    $crate::service::sign_in::hash_new_password::NotChosen::Weak(weak) => weak.into(),
                    $crate::service::sign_in::hash_new_password::NotChosen::Denied(denied) => Self::Denied(denied),
                }
            }
        }
    };
}
pub(in crate::service) use from_not_chosen;

impl SignIns {
    /// Returns the hash of an acceptable password, or why it is refused. `address` and `name` are the owner's: an
    /// attacker tries public facts first.
    pub(in crate::service) async fn hash_new_password(
        &self,
        chooser: Chooser<'_>,
        password: Password,
        address: &str,
        name: Option<&str>,
    ) -> Result<String, NotChosen> {
        self.core.password_rules().check_length(&password)?;
        let (source, spans) = match chooser {
            Chooser::Operator => (Source::operator(), Vec::new()),
            Chooser::Stranger(client) => {
                (Source::stranger(client), self.core.spans_of_address(client, Counts::Choices))
            }
            Chooser::Owner(whose, client) => (Source::familiar(client), self.core.spans_of(whose, Counts::Choices)),
        };
        self.core.count_in(&spans).await.map_err(Denied::from)?;
        let personal = [Some(address), name].into_iter().flatten().map(str::to_owned).collect();
        let rules = Arc::clone(&self.core.policy.password_rules);
        self.password_judge.judge(source, password.clone(), rules, personal).await.map_err(Denied::from)??;
        Ok(self.hash_pool.hash(source, password).await.map_err(Denied::from)?)
    }
}
