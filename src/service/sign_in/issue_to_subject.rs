//! Issue to a subject: a service has verified its user, who gets a session.
//!
//! Owns what a service may ask for. Must never give a subject a longer life than the operator's rules do. Roles are given
//! as asked: the caller has judged whether the service may.

use std::time::Duration;

use crate::domain::throttle::Counts;
use crate::domain::{
    Acting, ActingParty, Client, Profile, Repeatable, Roles, Subject, Terms, Token, TokenHash, UserId,
};
use crate::service::core::denied::Denied;
use crate::service::core::views::{SessionView, UserView};
use crate::service::credentials::directory::Caller;
use crate::service::risk::judge::Entry;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::identity::{Identity, Proven, Vouched, Voucher};
use crate::service::sign_in::issue::IssueError;

/// What a service asks for.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// Who asks.
    pub by: Caller,
    /// The application's own name for the user.
    pub subject: Subject,
    /// What it says about the user.
    pub profile: Profile,
    /// Who will act in the session for the user; none in a session of the user's own.
    pub actor: Option<ActingParty>,
    /// All roles that the user is to have; none: they stay.
    pub roles: Option<Roles>,
    /// Whether the session should outlive the browser.
    pub remember: bool,
    /// How long it may stay unused, if shorter than usual.
    pub idle: Option<Duration>,
    /// How long it lasts, if shorter than usual.
    pub absolute: Option<Duration>,
    /// The token hashes of the sessions that the browser already has: those sessions end.
    pub replaces: Vec<TokenHash>,
    /// The key under which it may be repeated.
    pub repeatable: Option<Repeatable>,
}

/// A session that was issued to a service for one of its users.
#[derive(Debug)]
pub struct Issued {
    /// The token, only for the cookie.
    pub token: Token,
    /// The user.
    pub user: UserView,
    /// The session.
    pub session: SessionView,
    /// How long a browser keeps the cookie; none: until it is closed.
    pub lasts: Option<Duration>,
}

impl SignIns {
    /// Issues a session to a user whom an application has verified by its own means.
    pub async fn issue_to_subject(&self, request: IssueRequest, client: &Client) -> Result<Issued, IssueError> {
        let terms = self.shortened(&request)?;
        // A user's own limit first, so that one user in a loop does not use up the service's; and an agent in a loop not the
        // user's.
        let whose = if request.actor.is_some() { "acting for" } else { "subject" };
        let mut spans = self.core.spans_of(&format!("{whose} {}", request.subject), Counts::Proofs);
        spans.extend(self.core.spans_of(&format!("service {}", request.by.service), Counts::Issues));
        self.core.count_in(&spans).await.map_err(Denied::from)?;
        let new = UserId::generate(self.core.clock().now(), self.core.random());
        let (id, token) = self.fresh();
        let key = request.repeatable;
        let token = key.as_ref().map_or(token, |key| key.token(id));
        let vouched = Vouched {
            by: Voucher::Service(request.by),
            subject: request.subject,
            profile: request.profile,
            roles: request.roles,
            new,
            repeatable: key.clone(),
        };
        let identity = Identity::Vouched(Box::new(vouched));
        let (replaces, entry) = (request.replaces, Entry::default());
        let acting = request.actor.map(|party| Acting { party, reason: None });
        let proven = Proven { identity, upgrade: None, replaces, entry, acting };
        let signed_in = self.enter(proven, (terms, request.remember), (id, token), client).await?;
        let lasts = request.remember.then_some(terms.absolute);
        // The one of the session that this request made before.
        let token = key.map_or(signed_in.token, |key| key.token(signed_in.session.id));
        Ok(Issued { token, user: signed_in.user, session: signed_in.session, lasts })
    }

    fn shortened(&self, request: &IssueRequest) -> Result<Terms, IssueError> {
        let usual = match request.actor {
            Some(_) => self.core.policy.acting_terms,
            None => self.terms(request.remember),
        };
        let terms =
            Terms { idle: request.idle.unwrap_or(usual.idle), absolute: request.absolute.unwrap_or(usual.absolute) };
        match terms.idle <= usual.idle && terms.absolute <= usual.absolute {
            true => Ok(Terms { idle: terms.idle.min(terms.absolute), ..terms }),
            false => Err(IssueError::TooLong(usual)),
        }
    }
}
