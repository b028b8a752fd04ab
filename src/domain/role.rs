//! Roles: what a user may do.
//!
//! Owns [`Role`] and [`Roles`]. Each request that needs roles reads them from the ledger; no record, cookie or cache
//! holds them: a role that is taken away is gone with the next request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Every account.
    User,
    /// May see and end other users' sessions.
    Admin,
}

impl Role {
    /// The role's name in the interface and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no role {0:?}; the roles are user and admin")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "user" => Ok(Self::User),
            "admin" => Ok(Self::Admin),
            other => Err(UnknownRole(other.to_owned())),
        }
    }
}

/// A set of roles, in order, each at most once. Stored as their names, separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// The roles of a new account.
    pub fn new_account() -> Self {
        Self(vec![Role::User])
    }

    /// Whether the set contains the role.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// The set with this role added.
    #[must_use]
    pub fn with(mut self, role: Role) -> Self {
        if !self.has(role) {
            self.0.push(role);
            self.0.sort_unstable();
        }
        self
    }

    /// The set without this role.
    #[must_use]
    pub fn without(mut self, role: Role) -> Self {
        self.0.retain(|&other| other != role);
        self
    }

    /// The roles in order.
    pub fn to_vec(&self) -> Vec<Role> {
        self.0.clone()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|role| role.name()).collect();
        f.write_str(&names.join(" "))
    }
}

impl TryFrom<String> for Roles {
    type Error = UnknownRole;

    fn try_from(text: String) -> Result<Self, UnknownRole> {
        text.parse()
    }
}

impl FromStr for Roles {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        text.split_whitespace().try_fold(Self::default(), |roles, name| Ok(roles.with(name.parse()?)))
    }
}
