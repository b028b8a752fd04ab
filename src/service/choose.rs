//! Choose: a password that somebody wants to have, judged and hashed.
//!
//! Owns the one way to a stored hash, for a new account, a change, a reset and the command line alike. Must never store
//! one: what happens to it is the use case's.

use std::sync::Arc;

use super::gate::Source;
use super::{App, Unavailable};
use crate::domain::Password;
use crate::domain::password::WeakPassword;

impl App {
    /// The hash of a password that may be chosen, or why it may not. `address` and `name` are the owner's: what others
    /// may know of them is tried first.
    pub(super) async fn choose_password(
        &self,
        source: Source,
        password: Password,
        address: &str,
        name: Option<&str>,
    ) -> Result<Result<String, WeakPassword>, Unavailable> {
        if let Err(weak) = self.password_rules().check_length(&password) {
            return Ok(Err(weak));
        }
        let personal = [Some(address), name].into_iter().flatten().map(str::to_owned).collect();
        let rules = Arc::clone(&self.shared.policy.password_rules);
        self.shared.gate.choose(source, password, rules, personal).await
    }
}
