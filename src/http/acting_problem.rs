//! Problems of sessions in which somebody acts for the user.
//!
//! Owns their words. Must never say who acts: the session's own view does.

use super::problem::{ACTING_SESSION, CANNOT_IMPERSONATE, Problem};

impl Problem {
    /// An agent or an administrator acts in the session that asks.
    pub fn acting_session() -> Self {
        Self::new(&ACTING_SESSION, "This session acts for the user. It cannot change the account or its sessions.")
    }

    /// Another administrator, or the one that asks.
    pub fn cannot_impersonate() -> Self {
        Self::new(&CANNOT_IMPERSONATE, "Administrators cannot be impersonated, not even by themselves.")
    }
}
