//! Who causes a change, and from where: what the audit log will say; and what they have to prove for it.
//!
//! Owns [`Cause`]. Must never be guessed: whoever calls the service says it.

use super::Checked;
use crate::domain::event::Actor;
use crate::domain::{Client, SessionId, TokenHash, UserId};

/// Who causes a change, and from where.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Who.
    pub actor: Actor,
    /// In which request; none at the command line.
    pub client: Option<Client>,
    /// The session whose owner must have proven a short while ago who they are, and its token; none where that is not
    /// wanted.
    pub proof_of: Option<(SessionId, TokenHash)>,
    /// Whether nobody needs to be left to administer: only whoever is at the command line can say so, and make another
    /// administrator.
    pub forced: bool,
}

impl Cause {
    /// A signed-in user's request.
    pub fn user(id: UserId, client: &Client) -> Self {
        Self { actor: Actor::User(id), client: Some(client.clone()), proof_of: None, forced: false }
    }

    /// A signed-in user's request for something that wants a recent proof of who they are.
    pub fn proven(checked: &Checked, client: &Client) -> Self {
        Self { proof_of: Some((checked.session, checked.token_hash)), ..Self::user(checked.user, client) }
    }

    /// A request of somebody who is not signed in.
    pub fn anonymous(client: &Client) -> Self {
        Self { actor: Actor::Anonymous, client: Some(client.clone()), proof_of: None, forced: false }
    }

    /// The command line.
    pub fn command_line() -> Self {
        Self { actor: Actor::CommandLine, client: None, proof_of: None, forced: false }
    }

    /// The command line, which may leave nobody to administer if that was said.
    pub fn command_line_forced(forced: bool) -> Self {
        Self { forced, ..Self::command_line() }
    }
}
