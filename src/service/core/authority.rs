//! Authority: the session or the secret that an actor uses, and what it must show when the change is made.
//!
//! Owns the possible requirements, and the reasons to refuse. Only [`super::lock`] may judge an authority.

use std::time::Duration;

use crate::domain::{CredentialId, Proof, Role, Roles, SessionId, Timestamp, TokenHash, UserId};
use crate::service::core::checked::Checked;
use crate::service::core::denied::{Denied, StepUpRequired};

/// What a transaction did, or why it did nothing.
pub(in crate::service) type Granted<T> = Result<T, Denied>;

/// By what an actor may make a change.
#[derive(Clone, Debug)]
pub enum Authority {
    /// A live session.
    Session(SessionAuthority),
    /// A service's secret, which must still count.
    Service(CredentialId),
}

/// An actor's session, and what it must show.
#[derive(Clone, Copy, Debug)]
pub struct SessionAuthority {
    user: UserId,
    session: SessionId,
    token_hash: TokenHash,
    proof: Wanted,
    role: Option<Role>,
}

/// The required proof of identity.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// None: a live session is enough.
    Any,
    /// A proof of any age that still counts.
    Counting,
    /// A proof younger than the operator's limit.
    Recent,
}

impl Authority {
    /// A live session, with or without a proof.
    pub(in crate::service) fn live(checked: &Checked) -> Self {
        Self::Session(SessionAuthority::of(checked, Wanted::Any))
    }

    /// A live session whose proof counts, at any age.
    pub(in crate::service) fn unchallenged(checked: &Checked) -> Self {
        Self::Session(SessionAuthority::of(checked, Wanted::Counting))
    }

    /// A live session with a recent proof.
    pub(in crate::service) fn recent(checked: &Checked) -> Self {
        Self::Session(SessionAuthority::of(checked, Wanted::Recent))
    }

    /// A live session with a recent proof, whose owner has this role.
    pub(in crate::service) fn with_role(checked: &Checked, role: Role) -> Self {
        Self::Session(SessionAuthority { role: Some(role), ..SessionAuthority::of(checked, Wanted::Recent) })
    }

    /// The actor's session, if a session is what it uses.
    pub(in crate::service) fn session(&self) -> Option<&SessionAuthority> {
        match self {
            Self::Session(session) => Some(session),
            Self::Service(_) => None,
        }
    }
}

impl SessionAuthority {
    fn of(checked: &Checked, proof: Wanted) -> Self {
        let Checked { user, session, token_hash, .. } = *checked;
        Self { user, session, token_hash, proof, role: None }
    }

    /// The actor.
    pub(in crate::service) fn user(&self) -> UserId {
        self.user
    }

    /// The actor's session.
    pub(in crate::service) fn session(&self) -> SessionId {
        self.session
    }

    /// The token that it was shown with.
    pub(in crate::service) fn token_hash(&self) -> &TokenHash {
        &self.token_hash
    }

    /// Whether these roles and this proof are enough now; a recent proof is younger than `max_age`.
    pub(in crate::service) fn judge(
        &self,
        roles: &Roles,
        proof: Proof,
        max_age: Duration,
        now: Timestamp,
    ) -> Granted<()> {
        if self.role.is_some_and(|role| !roles.has(role)) {
            return Err(Denied::Forbidden);
        }
        let suffices = match self.proof {
            Wanted::Any => true,
            Wanted::Counting => !proof.challenged,
            Wanted::Recent => proof.is_younger_than(max_age, now),
        };
        if suffices { Ok(()) } else { Err(Denied::StepUpRequired(StepUpRequired { max_age })) }
    }
}
