//! Audit context: who makes a change, from where, and what the actor must prove for it.
//!
//! Owns [`AuditContext`]. Must never be guessed: the caller of the service provides it.

use crate::domain::event::Actor;
use crate::domain::{Client, CredentialId, Role, ServiceName, UserId};
use crate::service::core::authority::Authority;
use crate::service::core::checked::Checked;

/// Who makes a change, and from where.
#[derive(Clone, Debug)]
pub struct AuditContext {
    /// The actor.
    pub actor: Actor,
    /// The client of the request; none at the command line.
    pub client: Option<Client>,
    /// What is checked under the locks of the change: the actor's session with a proof or a role, or a service's secret;
    /// none if not required.
    pub authority: Option<Authority>,
    /// Whether the change may leave no administrator: only at the command line, where one can make another
    /// administrator.
    pub forced: bool,
}

impl AuditContext {
    /// A signed-in user's request.
    pub fn user(id: UserId, client: &Client) -> Self {
        Self { actor: Actor::User(id), client: Some(client.clone()), authority: None, forced: false }
    }

    /// A signed-in user's request that requires a recent proof of identity.
    pub fn proven(checked: &Checked, client: &Client) -> Self {
        Self { authority: Some(Authority::recent(checked)), ..Self::user(checked.user, client) }
    }

    /// The same for an administrator, who must still have the role.
    pub fn administrator(checked: &Checked, client: &Client) -> Self {
        let authority = Authority::with_role(checked, Role::Admin);
        Self { authority: Some(authority), ..Self::user(checked.user, client) }
    }

    /// A signed-in user's request that requires only a live session.
    pub(in crate::service) fn live(checked: &Checked, client: &Client) -> Self {
        Self { authority: Some(Authority::live(checked)), ..Self::user(checked.user, client) }
    }

    /// The server's own action, or that of the application that embeds it.
    pub(crate) fn server(client: Option<Client>) -> Self {
        Self { actor: Actor::Server, client, authority: None, forced: false }
    }

    /// A request of a client that is not signed in.
    pub fn anonymous(client: &Client) -> Self {
        Self { actor: Actor::Anonymous, client: Some(client.clone()), authority: None, forced: false }
    }

    /// A service's request, for one of its users.
    pub fn service(service: ServiceName, client: &Client) -> Self {
        Self { actor: Actor::Service(service), client: Some(client.clone()), authority: None, forced: false }
    }

    /// A service's request to an administrators' route. The secret must still count when the change is made.
    pub(in crate::service) fn administering(service: ServiceName, credential: CredentialId, client: &Client) -> Self {
        Self { authority: Some(Authority::Service(credential)), ..Self::service(service, client) }
    }

    /// The command line.
    pub fn command_line() -> Self {
        Self { actor: Actor::CommandLine, client: None, authority: None, forced: false }
    }

    /// The command line; `forced` allows it to leave no administrator.
    pub fn command_line_forced(forced: bool) -> Self {
        Self { forced, ..Self::command_line() }
    }
}
