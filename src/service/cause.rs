//! Who causes a change, and from where: what the audit log will say.
//!
//! Owns [`Cause`]. Must never be guessed: whoever calls the service says it.

use crate::domain::event::Actor;
use crate::domain::{Client, UserId};

/// Who causes a change, and from where.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Who.
    pub actor: Actor,
    /// In which request; none at the command line.
    pub client: Option<Client>,
}

impl Cause {
    /// A signed-in user's request.
    pub fn user(id: UserId, client: &Client) -> Self {
        Self { actor: Actor::User(id), client: Some(client.clone()) }
    }

    /// A request of somebody who is not signed in.
    pub fn anonymous(client: &Client) -> Self {
        Self { actor: Actor::Anonymous, client: Some(client.clone()) }
    }

    /// The command line.
    pub fn command_line() -> Self {
        Self { actor: Actor::CommandLine, client: None }
    }
}
