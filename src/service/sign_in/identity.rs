//! Identity: who gets a session, and who says so.
//!
//! Owns the first half of the transaction for a user whom an application has verified: the service's secret still counts,
//! the user is found or added, and what the application says about them is written, their roles included. [`super::issue`]
//! does the rest, as for any sign-in.

use crate::domain::event::Event;
use crate::domain::old_token::OldToken;
use crate::domain::{
    Acting, Client, Device, EndReason, Profile, Repeatable, Roles, Subject, Timestamp, TokenHash, UserId,
};
use crate::ledger::locks::Locked;
use crate::ledger::pending_invalidations::PendingInvalidation;
use crate::ledger::sessions::{self, Session, Which};
use crate::ledger::users::{self, User};
use crate::ledger::{Db, LedgerError, audit, exchanged_tokens, issued_keys, services, subjects};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::authority::Authority;
use crate::service::credentials::directory::Caller;
use crate::service::risk::judge::Entry;
use crate::service::sign_in::SignIns;

/// Who it is, and who says so.
#[derive(Clone)]
pub(in crate::service) enum Identity {
    /// The user, and the epoch under which the password was verified; none when the embedding application says so.
    User(UserId, Option<i64>),
    /// A user of an application.
    Vouched(Box<Vouched>),
    /// A user for whom this administrator wants to act.
    Impersonated(UserId, Box<AuditContext>),
}

impl Identity {
    /// The session by which an administrator acts, and what it must show under the locks.
    pub(in crate::service) fn authority(&self) -> Option<&Authority> {
        match self {
            Self::Impersonated(_, by) => by.authority.as_ref(),
            Self::User(..) | Self::Vouched(_) => None,
        }
    }

    /// Who causes the session, from where.
    pub(in crate::service) fn context(&self, user: UserId, client: &Client) -> AuditContext {
        match self {
            Self::User(..) => AuditContext::user(user, client),
            Self::Vouched(vouched) => vouched.context(user, client),
            Self::Impersonated(_, by) => by.as_ref().clone(),
        }
    }
}

/// A user with a proven identity, and how it was proven.
#[derive(Clone)]
pub(in crate::service) struct Proven {
    pub(in crate::service) identity: Identity,
    /// The stored hash, and a stronger one of the same password to replace it.
    pub(in crate::service) upgrade: Option<(String, String)>,
    /// The tokens that the browser already has.
    pub(in crate::service) replaces: Vec<TokenHash>,
    /// More input for the risk rules.
    pub(in crate::service) entry: Entry,
    /// Who will act in the session for the user.
    pub(in crate::service) acting: Option<Acting>,
}

/// Who says who the user of an application is.
#[derive(Clone)]
pub(in crate::service) enum Voucher {
    /// The application itself.
    Service(Caller),
    /// An old token of the application, which the user has.
    OldToken(OldToken),
}

/// A user of an application, as the transaction needs it.
#[derive(Clone)]
pub(in crate::service) struct Vouched {
    pub(in crate::service) by: Voucher,
    pub(in crate::service) subject: Subject,
    pub(in crate::service) profile: Profile,
    pub(in crate::service) roles: Option<Roles>,
    /// The user's id, if there is none yet.
    pub(in crate::service) new: UserId,
    pub(in crate::service) repeatable: Option<Repeatable>,
}

/// Whose session it will be.
pub(in crate::service) enum Found {
    User(UserId),
    /// Another request had the same key, or its session is over.
    OtherRequest,
    /// The service's secret does not count any more.
    Unknown,
    /// The old token was exchanged before.
    Used,
}

impl SignIns {
    /// Before the locks: whose session it will be.
    pub(in crate::service) fn find_vouched(
        &self,
        db: &mut Db,
        vouched: &Vouched,
        client: &Client,
    ) -> Result<Found, LedgerError> {
        let now = self.core.clock().now();
        match &vouched.by {
            // A removal waits for this transaction, or this transaction sees it.
            Voucher::Service(by) if !services::holds(db, &by.credential, now)? => return Ok(Found::Unknown),
            // The look that counts follows under the lock.
            Voucher::OldToken(token) if exchanged_tokens::holds(db, &token.name)? => return Ok(Found::Used),
            Voucher::Service(_) | Voucher::OldToken(_) => {}
        }
        // Before a subject is added. The look that counts follows under the lock.
        if let Some(before) = answered_before(db, vouched)? {
            return Ok(before.map_or(Found::OtherRequest, |session| Found::User(session.user_id)));
        }
        let (user, is_new) = subjects::find_or_add(db, &vouched.subject, vouched.new, now)?;
        if is_new {
            let line = self.audit.entry(Event::UserCreated, &vouched.context(user, client), Some(user), None);
            audit::append(db, &line)?;
        }
        Ok(Found::User(user))
    }

    /// Under the lock, and before the new session: sets the roles that a service has asked for. As for any change of roles,
    /// every session from before ends, and so does everything else of the old epoch.
    pub(in crate::service) fn set_roles(
        &self,
        db: &mut Db,
        locked: &Locked,
        user: User,
        identity: &Identity,
        client: &Client,
    ) -> Result<(User, Vec<PendingInvalidation>), LedgerError> {
        let Identity::Vouched(vouched) = identity else { return Ok((user, Vec::new())) };
        let Some(roles) = vouched.roles.as_ref().filter(|roles| **roles != user.roles) else {
            return Ok((user, Vec::new()));
        };
        let context = vouched.context(user.id, client);
        users::set_roles(db, user.id, roles)?;
        let mut line = self.audit.entry(Event::RolesChanged, &context, Some(user.id), None);
        line.detail = Some(format!("{} -> {roles}", user.roles));
        audit::append(db, &line)?;
        users::raise_epoch(db, user.id)?;
        let which = Which::OfUser(user.id, None);
        let ended = self.sessions.end_rows(db, locked, &which, EndReason::RolesChanged, &context)?;
        Ok((users::find(db, user.id)?.unwrap_or(user), ended.records))
    }

    /// Under the lock: writes what the application says about the user, and under which key, or that its token is used up.
    /// Returns the user as described.
    pub(in crate::service) fn describe(
        &self,
        db: &mut Db,
        vouched: &Vouched,
        user: User,
        session: &Session,
        client: &Client,
    ) -> Result<User, LedgerError> {
        if let Voucher::OldToken(token) = &vouched.by {
            exchanged_tokens::add(db, &token.name, token.expires_at)?;
            let context = vouched.context(user.id, client);
            let line = self.audit.entry(Event::TokenExchanged, &context, Some(user.id), Some(session.id));
            audit::append(db, &audit::Entry { detail: Some(sender(token, client)), ..line })?;
        }
        if let Some(key) = &vouched.repeatable {
            issued_keys::add(db, key, session.id, session.created_at)?;
        }
        match subjects::set_profile(db, &user, &vouched.profile)? {
            true => Ok(users::find(db, user.id)?.unwrap_or(user)),
            false => Ok(user),
        }
    }
}

impl Identity {
    /// When the user last proved who they are, if that is not now.
    pub(in crate::service) fn proven_at(&self) -> Option<Timestamp> {
        match self {
            Self::Vouched(vouched) => match &vouched.by {
                Voucher::OldToken(token) => Some(token.proven_at),
                Voucher::Service(_) => None,
            },
            Self::User(..) | Self::Impersonated(..) => None,
        }
    }
}

impl Proven {
    /// Whether sessions of this user were ended since the password was verified.
    pub(in crate::service) fn is_outdated(&self, user: &User) -> bool {
        matches!(self.identity, Identity::User(_, Some(epoch)) if epoch != user.epoch)
    }
}

impl Vouched {
    /// Who acts, from where the user comes.
    pub(in crate::service) fn context(&self, user: UserId, client: &Client) -> AuditContext {
        match &self.by {
            Voucher::Service(by) => AuditContext::service(by.service, client),
            Voucher::OldToken(_) => AuditContext::user(user, client),
        }
    }
}

/// The session that this request made before, if its key was used; none in it when that was another request, or the
/// session is over. Requests of one subject come one after another under its lock; of others with the same key, one has
/// to run again.
pub(in crate::service) fn answered_before(
    db: &mut Db,
    vouched: &Vouched,
) -> Result<Option<Option<Session>>, LedgerError> {
    let Some(key) = &vouched.repeatable else { return Ok(None) };
    let Some((request, id)) = issued_keys::find(db, key)? else { return Ok(None) };
    let lives = |session: &Session| session.ended_at.is_none() && session.token_hash == key.token(id).hash();
    Ok(Some(sessions::find(db, id)?.filter(lives).filter(|_| request == key.request())))
}

/// For the audit log, which client sent a token: its name in the token, a space, and the browser's or program's family.
fn sender(token: &OldToken, client: &Client) -> String {
    const LONGEST_FAMILY: usize = 32;
    let family = Device::from_user_agent(client.user_agent.as_deref()).browser;
    let family: String = family.as_deref().unwrap_or("-").chars().take(LONGEST_FAMILY).collect();
    format!("{} {family}", token.client.as_deref().unwrap_or("-"))
}
