//! Issue: the only place where sessions are issued.
//!
//! Owns the order: read hash and epoch → verify the password → one transaction that locks the user, refuses if the
//! epoch or the disabled flag changed meanwhile, applies the session limit and inserts the row → commit → token. It
//! writes no record: the first check does. Must never answer with a token whose row is not committed.

use std::time::Duration;

use crate::domain::email::InvalidEmail;
use crate::domain::event::Event;
use crate::domain::password::Verdict;
use crate::domain::{
    Client, DeviceCookie, Email, EndReason, Password, Role, SessionId, Terms, Token, TokenHash, UserId,
};
use crate::fault_point;
use crate::ledger::pending_invalidations::PendingInvalidation;
use crate::ledger::sessions::{self, Session, Which};
use crate::ledger::users::{self, User};
use crate::ledger::{Db, LedgerError, audit, tokens};
use crate::service::audit::security_log::Unanswered;
use crate::service::core::audit_context::AuditContext;
use crate::service::core::denied::Denied;
use crate::service::core::last_use::LastUse;
use crate::service::core::unavailable::Unavailable;
use crate::service::core::views::{SessionView, UserView};
use crate::service::risk::judge::Entry;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::hash_pool::Source;
use crate::service::sign_in::identity::{Found, Identity, Proven, answered_before};
use crate::service::sign_in::session_limit::SessionLimit;

/// How long a sign-in waits until the end of the session that it replaces is confirmed. The row has ended, and the
/// sweeper goes on: a failing Redis does not block sign-ins.
const REPLACED_WAIT: Duration = Duration::from_millis(500);

/// A request to sign in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The address, as typed.
    pub email: String,
    /// The password, as typed.
    pub password: Password,
    /// Whether the session should outlive the browser.
    pub remember: bool,
    /// The token hashes of the sessions that the browser already has: those sessions end.
    pub replaces: Vec<TokenHash>,
    /// The device cookie of an earlier sign-in.
    pub device: Option<DeviceCookie>,
}

/// A session that was just issued.
#[derive(Debug)]
pub struct SignedIn {
    /// The token, only for the cookie.
    pub token: Token,
    /// The user who signed in.
    pub user: UserView,
    /// The new session.
    pub session: SessionView,
    /// The device cookie: the owner has signed in on this browser.
    pub device: DeviceCookie,
}

/// Why a sign-in was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// These credentials open no account. The same answer for every cause.
    #[error("the credentials were refused")]
    Refused,
    /// The address contains a character that its owner does not see; its kind.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// The user has as many sessions as allowed.
    #[error("the user has too many sessions")]
    TooManySessions,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// Why a user whom the application itself has identified gets no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// There is no such user, or the account is disabled.
    #[error("there is no such user, or the account is disabled")]
    UnknownUser,
    /// The user has as many sessions as allowed.
    #[error("the user has too many sessions")]
    TooManySessions,
    /// The service's secret was removed meanwhile.
    #[error("the service's secret was removed")]
    UnknownService,
    /// The service asks for a longer life than the operator's, which are these.
    #[error("the session would last longer than this server allows")]
    TooLong(Terms),
    /// Administrators act for other users only, never for one another.
    #[error("an administrator cannot be impersonated")]
    Administrator,
    /// The key that makes the request repeatable came with another request, or its session is over.
    #[error("the key was used with another request, or its session is over")]
    KeyReused,
    /// The old token was exchanged before.
    #[error("the token was exchanged before")]
    TokenUsed,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// The decision of the transaction.
enum Admission {
    Admitted { user: Box<User>, session: Box<Session>, ended: Vec<PendingInvalidation> },
    Not(IssueError),
}

/// The transaction's input, drawn completely before it starts, so that it can run again.
#[derive(Clone)]
struct Entrance {
    proven: Proven,
    session: Session,
    limit: SessionLimit,
    client: Client,
}

impl SignIns {
    /// Signs a user in.
    pub async fn sign_in(&self, request: SignIn, client: &Client) -> Result<SignedIn, SignInError> {
        Email::check_visible(&request.email)?;
        let key = Email::key_of(&request.email);
        let decoy = self.decoy(&key);
        // A device cookie with a valid signature is worth the query whether it still counts.
        let shown = request.device.as_ref().is_some_and(|it| self.core.throttle.key.recognise(it, &key).is_some());
        let early = if shown { Some(self.known(&request.email, key.clone()).await) } else { None };
        let owner = early.as_ref().and_then(|found| found.as_ref().ok()?.as_ref());
        let device = owner.and_then(|owner| self.known_device(request.device.as_ref(), owner));
        let attempt = self.reserve_attempt(&key, device, client).await;
        let attempt = attempt
            .inspect_err(|throttled| self.audit.note_throttled(&key, throttled, client))
            .map_err(Denied::from)?;
        let unanswered = Unanswered::new(&self.audit, client);
        let source = if attempt.is_familiar() { Source::familiar(client) } else { Source::stranger(client) };
        // In a flood, a client that finds the hash pool full costs no query either.
        let known = match (self.hash_pool.has_room(source), early) {
            (Ok(()), Some(found)) => found,
            (Ok(()), None) => self.known(&request.email, key).await,
            (Err(busy), _) => Err(busy),
        };
        let verdict = match &known {
            Ok(user) => {
                let stored = user.as_ref().map(|user| user.password_hash.clone());
                self.hash_pool.verify(source, request.password.clone(), stored, decoy).await
            }
            Err(error) => Err(error.clone()),
        };
        let enabled = matches!(&known, Ok(Some(user)) if !user.is_disabled());
        unanswered.answer();
        let entry = attempt.entry();
        let verdict = attempt.settle(verdict, enabled).await.map_err(Denied::from)?;
        let (user, is_right) = (known.map_err(Denied::from)?, matches!(verdict, Verdict::Match { .. }));
        let id = user.as_ref().map(|user| user.id);
        let (Some(user), Verdict::Match { outdated }, true) = (user, verdict, enabled) else {
            self.audit.note_login_failure(id, client, (is_right && id.is_some()).then_some("disabled"));
            return Err(SignInError::Refused);
        };
        let upgrade = match outdated {
            // If there is no time for it now, the next sign-in does it.
            true => self.hash_pool.hash(Source::familiar(client), request.password).await.ok(),
            false => None,
        };
        let upgrade = upgrade.map(|stronger| (user.password_hash, stronger));
        fault_point::reach("sign-in: verified");
        let identity = Identity::User(user.id, Some(user.epoch));
        let proven = Proven { identity, upgrade, replaces: request.replaces, entry, acting: None };
        let terms = (self.terms(request.remember), request.remember);
        // On the heap: most requests of a flood end before this point, but would reserve stack for it.
        let entered = Box::pin(self.enter(proven, terms, self.fresh(), client)).await;
        entered.map_err(|error| self.not_entered(error, id, client))
    }

    /// Why a right password opens no session.
    fn not_entered(&self, error: IssueError, id: Option<UserId>, client: &Client) -> SignInError {
        match error {
            IssueError::TooManySessions => {
                self.audit.note_login_failure(id, client, Some("too many sessions"));
                SignInError::TooManySessions
            }
            IssueError::Denied(denied) => SignInError::Denied(denied),
            // Only the first is about sign-ins.
            IssueError::UnknownUser
            | IssueError::UnknownService
            | IssueError::TooLong(_)
            | IssueError::Administrator
            | IssueError::KeyReused
            | IssueError::TokenUsed => {
                self.audit.note_login_failure(id, client, Some("changed meanwhile"));
                SignInError::Refused
            }
        }
    }

    /// The account for the typed address, if there is one.
    async fn known(&self, typed: &str, key: String) -> Result<Option<User>, Unavailable> {
        // An address that no account can have needs no query: PostgreSQL rejects a NUL.
        if Email::parse(typed).is_err() {
            return Ok(None);
        }
        Ok(self.core.ledger.read_at_entrance(move |db| users::find_by_email(db, &key)).await?)
    }

    /// Issues a session to a user whom the application has identified by its own means.
    pub async fn issue(
        &self,
        user: UserId,
        remember: bool,
        replaces: &[TokenHash],
        client: &Client,
    ) -> Result<SignedIn, IssueError> {
        let (identity, replaces) = (Identity::User(user, None), replaces.to_vec());
        let proven = Proven { identity, upgrade: None, replaces, entry: Entry::default(), acting: None };
        self.enter(proven, (self.terms(remember), remember), self.fresh(), client).await
    }

    /// Issues a session with these terms and this token.
    pub(in crate::service) async fn enter(
        &self,
        proven: Proven,
        terms: (Terms, bool),
        (id, token): (SessionId, Token),
        client: &Client,
    ) -> Result<SignedIn, IssueError> {
        let session = self.new_session(&proven.identity, (id, token.hash()), terms, client);
        let session = session.acted_in(proven.acting.as_ref());
        let policy = &self.core.policy;
        let entrance = Entrance {
            proven,
            session,
            limit: SessionLimit { most: policy.max_sessions, at_limit: policy.at_limit },
            client: client.clone(),
        };
        let room = self.clone();
        let admission = self.core.write(move |db| room.admit(db, &entrance)).await;
        match admission.map_err(Denied::from)? {
            Admission::Not(why) => Err(why),
            Admission::Admitted { user, session, ended } => {
                fault_point::reach("sign-in: committed");
                self.events.spread(session.id);
                if let Err(error) = self.sessions.invalidate_within(&ended, REPLACED_WAIT).await {
                    log::info!("invalidation left to the sweeper: {error}");
                }
                let view = SessionView::new(&session, LastUse::of(&session), Some(session.id));
                let device = self.new_device(&user, user.epoch);
                Ok(SignedIn { token, user: UserView::from(user.as_ref()), session: view, device })
            }
        }
    }

    /// How long a session lasts.
    pub(in crate::service) fn terms(&self, remember: bool) -> Terms {
        if remember { self.core.policy.remember_terms } else { self.core.policy.terms }
    }

    /// The id and the token of a new session.
    pub(in crate::service) fn fresh(&self) -> (SessionId, Token) {
        let random = self.core.random();
        (SessionId::generate(self.core.clock().now(), random), Token::generate(random))
    }

    fn new_session(
        &self,
        of: &Identity,
        (id, token): (SessionId, TokenHash),
        terms: (Terms, bool),
        client: &Client,
    ) -> Session {
        let now = self.core.clock().now();
        let user = match of {
            Identity::User(user, _) | Identity::Impersonated(user, _) => *user,
            // Until the transaction knows.
            Identity::Vouched(vouched) => vouched.new,
        };
        let mut session = Session::new(id, user, token, terms, client, now);
        session.authenticated_at = of.proven_at().unwrap_or(now);
        self.risk.arrive(&mut session, client);
        session
    }

    /// The transaction. It first locks the user's row, together with the owners of the sessions that the browser had:
    /// this orders the sign-in against any end of all of the user's sessions.
    fn admit(&self, db: &mut Db, entrance: &Entrance) -> Result<Admission, LedgerError> {
        let Entrance { proven, client, .. } = entrance;
        let mut session = match self.owned(db, &proven.identity, entrance.session.clone(), client)? {
            Ok(session) => session,
            Err(why) => return Ok(Admission::Not(why)),
        };
        let shown = &proven.replaces;
        let replaced = (!shown.is_empty()).then(|| Which::Tokens(shown.clone()));
        let mut owners = vec![session.user_id];
        let mut going = Vec::new();
        if let Some(which) = &replaced {
            owners.extend(sessions::owners(db, which)?);
            going.extend(tokens::sessions_of(db, shown)?.into_iter().map(|(_, session)| session));
        }
        let locked = match self.core.lock(db, proven.identity.authority(), &owners)? {
            Ok(locked) => locked,
            Err(denied) => return Ok(Admission::Not(denied.into())),
        };
        let user = match admitted(proven, locked.user(session.user_id)) {
            Ok(user) => user.clone(),
            Err(why) => return Ok(Admission::Not(why)),
        };
        if let Identity::Vouched(vouched) = &proven.identity
            && let Some(before) = answered_before(db, vouched)?
        {
            return self.repeat(user, before);
        }
        let server = AuditContext::server(Some(client.clone()));
        // Other roles end all sessions, so there is room afterwards.
        let (user, mut ended) = self.set_roles(db, &locked, user, &proven.identity, client)?;
        // Before any session ends: a refused sign-in changes nothing.
        let Some(room) = entrance.limit.make_room(db, &session, &going)? else {
            return Ok(Admission::Not(IssueError::TooManySessions));
        };
        if let Some(which) = &replaced {
            ended.extend(self.sessions.end_rows(db, &locked, which, EndReason::Replaced, &server)?.records);
            fault_point::reach("sign-in: replaced session ended");
        }
        for session in room.evicted {
            ended.extend(
                self.sessions.end_rows(db, &locked, &Which::Any(session), EndReason::Evicted, &server)?.records,
            );
            fault_point::reach("sign-in: oldest session ended");
        }
        if let Some((old, new)) = &proven.upgrade {
            users::upgrade_hash(db, user.id, old, new)?;
            fault_point::reach("sign-in: hash upgraded");
        }
        let found = self.risk.judge_arrival(db, &session, proven.entry, &room.staying)?;
        session.risk = found.risk().into();
        sessions::insert(db, session.clone())?;
        fault_point::reach("sign-in: session inserted");
        let user = match &proven.identity {
            Identity::Vouched(vouched) => self.describe(db, vouched, user, &session, client)?,
            Identity::User(..) | Identity::Impersonated(..) => user,
        };
        self.tell(db, proven, &session, client)?;
        if !found.is_empty() {
            ended.extend(self.risk.settle(db, &locked, user.id, &found, &server)?);
        }
        Ok(Admission::Admitted { user: Box::new(user), session: Box::new(session), ended })
    }

    /// Writes the line and the message about a session that begins.
    fn tell(&self, db: &mut Db, proven: &Proven, session: &Session, client: &Client) -> Result<(), LedgerError> {
        let context = proven.identity.context(session.user_id, client);
        let event = if proven.acting.is_some() { Event::ActingSessionIssued } else { Event::LoginSuccess };
        let mut line = self.audit.entry(event, &context, Some(session.user_id), Some(session.id));
        line.detail = proven.acting.as_ref().map(ToString::to_string);
        audit::append(db, &line)?;
        fault_point::reach("sign-in: line written");
        self.events.tell_session_created(db, session)
    }

    /// The session with its owner.
    fn owned(
        &self,
        db: &mut Db,
        identity: &Identity,
        mut session: Session,
        client: &Client,
    ) -> Result<Result<Session, IssueError>, LedgerError> {
        if let Identity::Vouched(vouched) = identity {
            match self.find_vouched(db, vouched, client)? {
                Found::User(user) => session.user_id = user,
                Found::OtherRequest => return Ok(Err(IssueError::KeyReused)),
                Found::Unknown => return Ok(Err(IssueError::UnknownService)),
                Found::Used => return Ok(Err(IssueError::TokenUsed)),
            }
        }
        Ok(Ok(session))
    }

    /// The answer to a request that was answered before, if its session lives.
    fn repeat(&self, user: User, before: Option<Session>) -> Result<Admission, LedgerError> {
        // It came since this transaction looked, which may have added a subject: nothing of that stays.
        let Some(session) = before else { return Err(LedgerError::Conflict("an idempotency key".to_owned())) };
        match session.user_id == user.id && session.deadlines().hold(self.core.clock().now()) {
            true => Ok(Admission::Admitted { user: Box::new(user), session: Box::new(session), ended: Vec::new() }),
            false => Ok(Admission::Not(IssueError::KeyReused)),
        }
    }
}

/// The locked user, if the session may begin.
fn admitted<'a>(proven: &Proven, user: Option<&'a User>) -> Result<&'a User, IssueError> {
    let user = user.filter(|user| !user.is_disabled() && !user.is_deleted() && !proven.is_outdated(user));
    match (user, &proven.identity) {
        (None, _) => Err(IssueError::UnknownUser),
        // Or a role would reach further than it was given to.
        (Some(user), Identity::Impersonated(..)) if user.roles.has(Role::Admin) => Err(IssueError::Administrator),
        (Some(user), _) => Ok(user),
    }
}
