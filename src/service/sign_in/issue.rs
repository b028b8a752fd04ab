//! Issue: the only place where sessions are issued.
//!
//! Owns the order: read hash and epoch → verify the password → one transaction that locks the user, refuses if the
//! epoch or the disabled flag changed meanwhile, applies the session limit and inserts the row → commit → token. It
//! writes no record: the first check does. Must never answer with a token whose row is not committed.

use std::time::Duration;

use crate::domain::email::InvalidEmail;
use crate::domain::event::Event;
use crate::domain::password::Verdict;
use crate::domain::{Client, DeviceCookie, Email, EndReason, Password, SessionId, Token, TokenHash, UserId};
use crate::fault_point;
use crate::ledger::pending_invalidations::PendingInvalidation;
use crate::ledger::sessions::{self, Session, Which};
use crate::ledger::users::{self, User};
use crate::ledger::{Db, LedgerError, audit, locks, tokens};
use crate::service::audit::security_log::Unanswered;
use crate::service::core::audit_context::AuditContext;
use crate::service::core::denied::Denied;
use crate::service::core::last_use::LastUse;
use crate::service::core::unavailable::Unavailable;
use crate::service::core::views::{SessionView, UserView};
use crate::service::risk::judge::Entry;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::hash_pool::Source;
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
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// The decision of the transaction.
enum Admission {
    Admitted { user: Box<User>, ended: Vec<PendingInvalidation> },
    Refused,
    Full,
}

/// A user with a proven identity, and how it was proven.
#[derive(Clone)]
struct Proven {
    user: UserId,
    /// The epoch under which the password was verified; none when the application identified the user.
    epoch: Option<i64>,
    /// The stored hash, and a stronger one of the same password to replace it.
    upgrade: Option<(String, String)>,
    /// The tokens that the browser already has.
    replaces: Vec<TokenHash>,
    /// More input for the risk rules.
    entry: Entry,
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
                self.hash_pool.verify(source, request.password.clone(), stored).await
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
        let proven = Proven { user: user.id, epoch: Some(user.epoch), upgrade, replaces: request.replaces, entry };
        // On the heap: most requests of a flood end before this point, but would reserve stack for it.
        Box::pin(self.enter(proven, request.remember, client)).await.map_err(|error| match error {
            IssueError::UnknownUser => {
                self.audit.note_login_failure(id, client, Some("changed meanwhile"));
                SignInError::Refused
            }
            IssueError::TooManySessions => {
                self.audit.note_login_failure(id, client, Some("too many sessions"));
                SignInError::TooManySessions
            }
            IssueError::Denied(denied) => SignInError::Denied(denied),
        })
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
        let replaces = replaces.to_vec();
        self.enter(Proven { user, epoch: None, upgrade: None, replaces, entry: Entry::default() }, remember, client)
            .await
    }

    async fn enter(&self, proven: Proven, remember: bool, client: &Client) -> Result<SignedIn, IssueError> {
        let token = Token::generate(self.core.random());
        let session = self.new_session(proven.user, &token, remember, client);
        let policy = &self.core.policy;
        let entrance = Entrance {
            proven,
            session: session.clone(),
            limit: SessionLimit { most: policy.max_sessions, at_limit: policy.at_limit },
            client: client.clone(),
        };
        let room = self.clone();
        let admission = self.core.write(move |db| room.admit(db, &entrance)).await;
        match admission.map_err(Denied::from)? {
            Admission::Refused => Err(IssueError::UnknownUser),
            Admission::Full => Err(IssueError::TooManySessions),
            Admission::Admitted { user, ended } => {
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

    fn new_session(&self, user: UserId, token: &Token, remember: bool, client: &Client) -> Session {
        let policy = &self.core.policy;
        let terms = if remember { policy.remember_terms } else { policy.terms };
        let now = self.core.clock().now();
        let id = SessionId::generate(now, self.core.random());
        let mut session = Session::new(id, user, token.hash(), (terms, remember), client, now);
        self.risk.arrive(&mut session, client);
        session
    }

    /// The transaction. It first locks the user's row, together with the owners of the sessions that the browser had:
    /// this orders the sign-in against any end of all of the user's sessions.
    fn admit(&self, db: &mut Db, entrance: &Entrance) -> Result<Admission, LedgerError> {
        let shown = &entrance.proven.replaces;
        let replaced = (!shown.is_empty()).then(|| Which::Tokens(shown.clone()));
        let mut owners = vec![entrance.proven.user];
        let mut going = Vec::new();
        if let Some(which) = &replaced {
            owners.extend(sessions::owners(db, which)?);
            going.extend(tokens::sessions_of(db, shown)?.into_iter().map(|(_, session)| session));
        }
        let locked = locks::users(db, &owners)?;
        let Some(user) = locked.user(entrance.proven.user).cloned() else { return Ok(Admission::Refused) };
        if user.is_disabled() || entrance.proven.epoch.is_some_and(|epoch| epoch != user.epoch) {
            return Ok(Admission::Refused);
        }
        let server = AuditContext::server(Some(entrance.client.clone()));
        // Before any session ends: a refused sign-in changes nothing.
        let Some(room) = entrance.limit.make_room(db, &entrance.session, &going)? else { return Ok(Admission::Full) };
        let mut ended = Vec::new();
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
        if let Some((old, new)) = &entrance.proven.upgrade {
            users::upgrade_hash(db, user.id, old, new)?;
            fault_point::reach("sign-in: hash upgraded");
        }
        let mut session = entrance.session.clone();
        let found = self.risk.judge_arrival(db, &session, entrance.proven.entry, &room.staying)?;
        session.risk = found.risk().into();
        sessions::insert(db, session)?;
        fault_point::reach("sign-in: session inserted");
        let context = AuditContext::user(user.id, &entrance.client);
        audit::append(db, &self.audit.entry(Event::LoginSuccess, &context, Some(user.id), Some(entrance.session.id)))?;
        fault_point::reach("sign-in: line written");
        self.events.tell_session_created(db, &entrance.session)?;
        if !found.is_empty() {
            ended.extend(self.risk.settle(db, &locked, user.id, &found, &server)?);
        }
        Ok(Admission::Admitted { user: Box::new(user), ended })
    }
}
