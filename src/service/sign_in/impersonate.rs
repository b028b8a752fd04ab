//! Impersonate: an administrator of this server acts for a user, and says why.
//!
//! Owns what such a session may be: at most an hour long, with a reason that the user and the audit log see. The
//! administrator's own session in the browser ends: one cookie holds one session, and the one that it pushes out would live
//! on unseen. Must never open another administrator's account.

use std::time::Duration;

use crate::domain::{Acting, ActingParty, Client, Reason, Terms, TokenHash, UserId};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::checked::Checked;
use crate::service::core::denied::Denied;
use crate::service::risk::judge::Entry;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::identity::{Identity, Proven};
use crate::service::sign_in::issue::{IssueError, SignedIn};

/// However long other acting sessions last.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What an administrator asks for.
#[derive(Clone, Debug)]
pub struct Impersonate {
    /// For whom to act.
    pub user: UserId,
    /// Why.
    pub reason: Reason,
    /// The token hashes of the sessions that the browser has: those sessions end.
    pub replaces: Vec<TokenHash>,
}

impl SignIns {
    /// Issues a session in which the administrator acts for the user. Requires the role and a recent proof.
    pub async fn impersonate(
        &self,
        request: Impersonate,
        checked: &Checked,
        client: &Client,
    ) -> Result<SignedIn, IssueError> {
        // An agent or another administrator may act in this very session.
        if checked.acting.is_some() {
            return Err(Denied::Forbidden.into());
        }
        let by = AuditContext::administrator(checked, client);
        let acting = Acting { party: ActingParty::administrator(checked.user), reason: Some(request.reason) };
        let Terms { idle, absolute } = self.core.policy.acting_terms;
        let terms = Terms { idle: idle.min(LONGEST), absolute: absolute.min(LONGEST) };
        let proven = Proven {
            identity: Identity::Impersonated(request.user, Box::new(by)),
            upgrade: None,
            replaces: request.replaces,
            entry: Entry::default(),
            acting: Some(acting),
        };
        self.enter(proven, (terms, false), self.fresh(), client).await
    }
}
