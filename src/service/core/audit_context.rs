//! Who causes a change, and from where: what the audit log will say; and what they have to prove for it.
//!
//! Owns [`AuditContext`]. Must never be guessed: whoever calls the service says it.

use crate::domain::event::Actor;
use crate::domain::{Client, Role, UserId};
use crate::service::core::authority::Authority;
use crate::service::core::checked::Checked;

/// Who causes a change, and from where.
#[derive(Clone, Debug)]
pub struct AuditContext {
    /// Who.
    pub actor: Actor,
    /// In which request; none at the command line.
    pub client: Option<Client>,
    /// The session by which they act, and what it must show under the locks of the change itself; none where nothing is
    /// wanted.
    pub authority: Option<Authority>,
    /// Whether nobody needs to be left to administer: only whoever is at the command line can say so, and make another
    /// administrator.
    pub forced: bool,
}

impl AuditContext {
    /// A signed-in user's request.
    pub fn user(id: UserId, client: &Client) -> Self {
        Self { actor: Actor::User(id), client: Some(client.clone()), authority: None, forced: false }
    }

    /// A signed-in user's request for something that wants a recent proof of who they are.
    pub fn proven(checked: &Checked, client: &Client) -> Self {
        Self { authority: Some(Authority::recent(checked)), ..Self::user(checked.user, client) }
    }

    /// The same of an administrator, who has to be one still.
    pub fn administrator(checked: &Checked, client: &Client) -> Self {
        let authority = Authority::with_role(checked, Role::Admin);
        Self { authority: Some(authority), ..Self::user(checked.user, client) }
    }

    /// A signed-in user's request for something that a live session is enough for.
    pub(in crate::service) fn live(checked: &Checked, client: &Client) -> Self {
        Self { authority: Some(Authority::live(checked)), ..Self::user(checked.user, client) }
    }

    /// What the server does by itself.
    pub(in crate::service) fn server(client: Option<Client>) -> Self {
        Self { actor: Actor::Server, client, authority: None, forced: false }
    }

    /// A request of somebody who is not signed in.
    pub fn anonymous(client: &Client) -> Self {
        Self { actor: Actor::Anonymous, client: Some(client.clone()), authority: None, forced: false }
    }

    /// The command line.
    pub fn command_line() -> Self {
        Self { actor: Actor::CommandLine, client: None, authority: None, forced: false }
    }

    /// The command line, which may leave nobody to administer if that was said.
    pub fn command_line_forced(forced: bool) -> Self {
        Self { forced, ..Self::command_line() }
    }
}
