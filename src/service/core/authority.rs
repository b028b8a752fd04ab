//! Authority: the session that an actor uses, and what it must show when the change is made.
//!
//! Owns the possible requirements, and the reasons to refuse. Only [`super::lock`] may judge an authority.

use std::time::Duration;

use crate::domain::{Proof, Role, Roles, SessionId, Timestamp, TokenHash, UserId};
use crate::service::core::checked::Checked;
use crate::service::core::denied::{Denied, StepUpRequired};

/// What a transaction did, or why it did nothing.
pub(in crate::service) type Granted<T> = Result<T, Denied>;

/// An actor's session, and what it must show.
#[derive(Clone, Copy, Debug)]
pub struct Authority {
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
    fn of(checked: &Checked, proof: Wanted) -> Self {
        let Checked { user, session, token_hash, .. } = *checked;
        Self { user, session, token_hash, proof, role: None }
    }

    /// A live session, with or without a proof.
    pub(in crate::service) fn live(checked: &Checked) -> Self {
        Self::of(checked, Wanted::Any)
    }

    /// A live session whose proof counts, at any age.
    pub(in crate::service) fn unchallenged(checked: &Checked) -> Self {
        Self::of(checked, Wanted::Counting)
    }

    /// A live session with a recent proof.
    pub(in crate::service) fn recent(checked: &Checked) -> Self {
        Self::of(checked, Wanted::Recent)
    }

    /// A live session with a recent proof, whose owner has this role.
    pub(in crate::service) fn with_role(checked: &Checked, role: Role) -> Self {
        Self { role: Some(role), ..Self::recent(checked) }
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
