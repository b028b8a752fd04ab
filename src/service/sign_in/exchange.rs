//! Exchange: a user of an application shows its old JSON Web Token, once, and gets a session.
//!
//! Owns the order: the end of it all → the token → the list of revoked ones → the limits → the transaction of
//! [`super::issue`], which opens the session and uses the token up. Must never open a session for a token that was used.

use crate::domain::old_token::OldToken;
use crate::domain::throttle::Counts;
use crate::domain::{Client, Profile, TokenHash, UserId};
use crate::service::core::denied::Denied;
use crate::service::core::unavailable::Unavailable;
use crate::service::risk::judge::Entry;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::exchange_rules::ExchangeRules;
use crate::service::sign_in::identity::{Identity, Proven, Vouched, Voucher};
use crate::service::sign_in::issue::{IssueError, SignedIn};

/// Why a token is not exchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing is exchanged here.
    #[error("nothing is exchanged here")]
    Off,
    /// The time for it is over.
    #[error("the time to exchange tokens is over")]
    Over,
    /// The token is not accepted; why is for the operator, and has nothing of the token.
    #[error("{0}")]
    Refused(String),
    /// It was exchanged before.
    #[error("exchanged before")]
    Used,
    /// The user is disabled.
    #[error("the user is disabled")]
    Disabled,
    /// The user has as many sessions as allowed.
    #[error("too many sessions")]
    TooManySessions,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl SignIns {
    /// Exchanges an application's old token for a session. The sessions of the replaced tokens end.
    pub async fn exchange(
        &self,
        token: Result<&str, &'static str>,
        remember: bool,
        replaces: Vec<TokenHash>,
        client: &Client,
    ) -> Result<SignedIn, ExchangeError> {
        let rules = self.exchange.as_ref().ok_or(ExchangeError::Off)?;
        let now = self.core.clock().now();
        if now >= rules.until {
            return Err(ExchangeError::Over);
        }
        let exchanged = match token.map(|token| rules.tokens.verify(token, now)) {
            Ok(Ok(token)) => self.exchange_verified(rules, token, (remember, replaces), client).await,
            Ok(Err(fault)) => Err(ExchangeError::Refused(fault.to_string())),
            Err(why) => Err(ExchangeError::Refused(why.to_owned())),
        };
        exchanged.inspect_err(|error| {
            if !matches!(error, ExchangeError::Denied(_)) {
                self.audit.note_exchange_failure(client, error.to_string());
            }
        })
    }

    async fn exchange_verified(
        &self,
        rules: &ExchangeRules,
        token: OldToken,
        (remember, replaces): (bool, Vec<TokenHash>),
        client: &Client,
    ) -> Result<SignedIn, ExchangeError> {
        judge_revoked(rules, &token).await?;
        // A user's own limit first, so that one user in a loop does not use up that of a whole office.
        let mut spans = self.core.spans_of(&format!("subject {}", token.subject), Counts::Proofs);
        spans.extend(self.core.spans_of_address(client, Counts::Proofs));
        self.core.count_in(&spans).await.map_err(Denied::from)?;
        let vouched = Vouched {
            subject: token.subject.clone(),
            by: Voucher::OldToken(token),
            profile: Profile::default(),
            roles: None,
            new: UserId::generate(self.core.clock().now(), self.core.random()),
            repeatable: None,
        };
        let identity = Identity::Vouched(Box::new(vouched));
        let proven = Proven { identity, upgrade: None, replaces, entry: Entry::default(), acting: None };
        let terms = (self.terms(remember), remember);
        self.enter(proven, terms, self.fresh(), client).await.map_err(|error| match error {
            IssueError::TokenUsed => ExchangeError::Used,
            IssueError::TooManySessions => ExchangeError::TooManySessions,
            IssueError::Denied(denied) => ExchangeError::Denied(denied),
            // All but the first are about services and administrators.
            IssueError::UnknownUser
            | IssueError::UnknownService
            | IssueError::TooLong(_)
            | IssueError::Administrator
            | IssueError::KeyReused => ExchangeError::Disabled,
        })
    }
}

/// Refuses a revoked token, and one that no list can name.
async fn judge_revoked(rules: &ExchangeRules, token: &OldToken) -> Result<(), ExchangeError> {
    let Some(revoked) = &rules.revoked else { return Ok(()) };
    let Some(id) = &token.id else {
        return Err(ExchangeError::Refused("without a jti, by which it could be revoked".to_owned()));
    };
    let unknown = |why| Denied::Unavailable(Unavailable::Store(format!("SESSIOND_EXCHANGE_REVOKED_FILE: {why}")));
    match revoked.has(id).await.map_err(unknown)? {
        true => Err(ExchangeError::Refused("revoked".to_owned())),
        false => Ok(()),
    }
}
