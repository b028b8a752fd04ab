//! End: the one path of every revocation, for every actor and reason.
//!
//! Owns the first half: in one transaction end the rows, write their pending invalidations and the audit line; then
//! [`super::invalidate`]. A repeated revocation invalidates again; it never relies on the first one.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::domain::event::{Actor, Event};
use crate::domain::{ActorKind, EndReason, SessionId, TokenHash, UserId};
use crate::fault_point;
use crate::ledger::locks::Locked;
use crate::ledger::pending_invalidations::{self, PendingInvalidation};
use crate::ledger::sessions::{self, Ended, Which};
use crate::ledger::users::{self, User};
use crate::ledger::{Db, LedgerError, audit, tokens};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::denied::Denied;
use crate::service::core::throttled::Throttled;
use crate::service::core::unavailable::Unavailable;
use crate::service::sessions::Sessions;

/// Whether the session existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Existed(pub bool);

/// Which of a user's sessions to end together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Those {
    /// All but the named one.
    All(Option<SessionId>),
    /// Those in which a party of this kind acts.
    Of(ActorKind),
}

impl Those {
    fn of(self, user: UserId) -> Which {
        match self {
            Self::All(except) => Which::OfUser(user, except),
            Self::Of(kind) => Which::OfActors(user, kind),
        }
    }
}

/// Sessions that a transaction ended.
#[derive(Clone, Debug, Default)]
#[must_use = "the records of these sessions have to be invalidated after the commit"]
pub(in crate::service) struct EndedSessions {
    /// The records to delete.
    pub(in crate::service) records: Vec<PendingInvalidation>,
    /// How many rows this transaction ended, and how many of them were live until then.
    pub(in crate::service) ended: usize,
    pub(in crate::service) live: usize,
    /// Whether there was a session, ended before or now.
    pub(in crate::service) found: bool,
}

impl EndedSessions {
    /// Whether everything was over before, and its records invalidated.
    pub(in crate::service) fn is_nothing(&self) -> bool {
        self.ended == 0 && self.records.is_empty()
    }
}

impl Sessions {
    /// A new pending invalidation of a record.
    pub(in crate::service) fn pending_invalidation(
        &self,
        token_hash: TokenHash,
        session: SessionId,
    ) -> PendingInvalidation {
        PendingInvalidation { id: self.core.new_id(), token_hash, session }
    }

    /// Ends rows, writes a pending invalidation and an audit line for each, inside the caller's transaction, which has
    /// locked the owners. Records of rows that ended before are invalidated again; they get no second line.
    pub(in crate::service) fn end_rows(
        &self,
        db: &mut Db,
        locked: &Locked,
        which: &Which,
        reason: EndReason,
        context: &AuditContext,
    ) -> Result<EndedSessions, LedgerError> {
        let now = self.core.clock().now();
        let ended_now = sessions::end(db, which, reason, now)?;
        // That lock alone orders this transaction against renewals and sign-ins.
        if let Some(session) = ended_now.iter().find(|session| locked.user(session.user_id).is_none()) {
            return Err(match session.acting {
                // An administrator began to act for this owner since the owners were read: once more.
                Some(_) => LedgerError::Conflict("a session in which an administrator acts".to_owned()),
                None => LedgerError::Corrupt("a session is to end whose owner is not locked".to_owned()),
            });
        }
        fault_point::reach("end: rows ended");
        let mut before = Vec::new();
        // Of several tokens, one may be shown for the first time and another one again.
        if ended_now.is_empty() || matches!(which, Which::Tokens(_)) {
            before = sessions::find_ended(db, which)?;
            before.retain(|ended| ended_now.iter().all(|now| now.id != ended.id));
        }
        let records = self.records_to_invalidate(db, which, &ended_now, &before)?;
        fault_point::reach("end: invalidations added");
        for session in &ended_now {
            let context = &by_whom(which, session, context);
            let mut line = self.audit.entry(Event::SessionRevoked, context, Some(session.user_id), Some(session.id));
            line.detail = Some(reason.name().to_owned());
            audit::append(db, &line)?;
            fault_point::reach("end: line written");
            self.events.tell_session_revoked(db, session, reason, context)?;
        }
        Ok(EndedSessions {
            records,
            ended: ended_now.len(),
            live: ended_now.iter().filter(|session| session.deadlines.hold_with_lag(now)).count(),
            found: !ended_now.is_empty() || !before.is_empty(),
        })
    }

    /// All records that must be deleted before these sessions are over for good: of sessions ended now or before (once,
    /// however often the request is repeated), and those that earlier renewals and revocations left pending.
    fn records_to_invalidate(
        &self,
        db: &mut Db,
        which: &Which,
        ended_now: &[Ended],
        before: &[Ended],
    ) -> Result<Vec<PendingInvalidation>, LedgerError> {
        let ids: Vec<_> = ended_now.iter().chain(before).map(|session| session.id).collect();
        let mut records = match which {
            Which::OfUser(user, _) | Which::OfActors(user, _) => pending_invalidations::of_user(db, *user)?,
            Which::Tokens(hashes) => pending_invalidations::of_sessions_or_tokens(db, &ids, hashes)?,
            Which::One(..) | Which::Any(_) | Which::These(_) => {
                pending_invalidations::of_sessions_or_tokens(db, &ids, &[])?
            }
        };
        let hashes = |of: &[Ended]| -> Vec<_> { of.iter().map(|session| (session.token_hash, session.id)).collect() };
        let pending: HashSet<_> = records.iter().map(|record| record.token_hash).collect();
        let mut new = hashes(ended_now);
        let mut again = hashes(before);
        if let Which::Tokens(hashes) = which {
            // Also the tokens that were shown, with or without rows: an unknown record may stand.
            let known: HashMap<_, _> = tokens::sessions_of(db, hashes)?.into_iter().collect();
            again.extend(hashes.iter().map(|hash| (*hash, known.get(hash).copied().unwrap_or(SessionId::UNKNOWN))));
        }
        for (hash, session) in again {
            if !pending.contains(&hash) && new.iter().all(|(known, _)| *known != hash) {
                new.push((hash, session));
            }
        }
        let new: Vec<_> = new.into_iter().map(|(hash, session)| self.pending_invalidation(hash, session)).collect();
        pending_invalidations::add(db, &new, self.core.clock().now())?;
        records.extend(new);
        Ok(records)
    }

    /// Whether everything that these tokens open, or ever opened, ended before and is invalidated. As in any
    /// repetition, the records are invalidated once more, but nothing is written: a client that keeps showing a dead
    /// cookie must not take write turns from others. False when a session is live, or when the invalidation fails.
    pub(in crate::service) async fn is_over(&self, shown: &[TokenHash]) -> Result<bool, Unavailable> {
        let shown = shown.to_vec();
        let over = self.core.ledger.read(move |db| {
            let before = sessions::find_ended(db, &Which::Tokens(shown.clone()))?;
            let ids: Vec<_> = before.iter().map(|session| session.id).collect();
            let lives = tokens::sessions_of(db, &shown)?.iter().any(|(_, session)| !ids.contains(session));
            let left = lives || !pending_invalidations::of_sessions_or_tokens(db, &ids, &shown)?.is_empty();
            let last = before.iter().map(|session| session.token_hash);
            let hashes = || last.chain(shown.iter().copied()).collect::<Vec<_>>();
            Ok((!left).then(hashes))
        });
        match over.await? {
            Some(hashes) => Ok(self.invalidate_again(&hashes).await),
            None => Ok(false),
        }
    }

    /// Ends sessions under the locks of their owners, without raising the owners' epochs, and invalidates their
    /// records.
    pub(in crate::service) async fn end(
        &self,
        which: Which,
        reason: EndReason,
        context: &AuditContext,
    ) -> Result<EndedSessions, Denied> {
        let (room, context) = (self.clone(), context.clone());
        let ended = self.core.write(move |db| {
            let owners = sessions::owners(db, &which)?;
            match room.core.lock(db, context.authority.as_ref(), &owners)? {
                Ok(locked) => room.end_rows(db, &locked, &which, reason, &context).map(Ok),
                Err(unproven) => Ok(Err(unproven)),
            }
        });
        let ended = ended.await??;
        fault_point::reach("revoke: committed");
        self.invalidate(&ended.records).await?;
        Ok(ended)
    }

    /// Ends all of a user's sessions but the excepted one, or those in which a kind of party acts, and invalidates their
    /// records. With all, it raises the epoch in the same transaction: that refuses a sign-in which has verified its password
    /// but is not yet admitted. None when there is no such user. `throttled` applies only when there is nothing to end.
    pub(in crate::service) async fn end_all(
        &self,
        user: UserId,
        those: Those,
        reason: EndReason,
        context: &AuditContext,
        throttled: Option<Throttled>,
    ) -> Result<Option<EndedSessions>, Denied> {
        let (room, context) = (self.clone(), context.clone());
        let ended = self
            .core
            .write(move |db| {
                let which = those.of(user);
                let locked = match room.core.lock_with_acted(db, context.authority.as_ref(), user, &[])? {
                    Ok(locked) => locked,
                    Err(unproven) => return Ok(Err(unproven)),
                };
                if locked.user(user).is_none_or(User::is_deleted) {
                    return Ok(Ok(None));
                }
                let ended = room.end_rows(db, &locked, &which, reason, &context)?;
                if let Some(throttled) = throttled.filter(|_| ended.is_nothing()) {
                    return Ok(Err(Denied::Throttled(throttled)));
                }
                if let Those::All(_) = those {
                    users::raise_epoch(db, user)?;
                    fault_point::reach("revoke all: epoch raised");
                }
                Ok(Ok(Some(ended)))
            })
            .await??;
        let Some(ended) = ended else { return Ok(None) };
        fault_point::reach("revoke all: committed");
        self.invalidate(&ended.records).await?;
        Ok(Some(ended))
    }
}

/// A client that shows a session's current token to end it counts as the owner; the session's row alone says who that
/// is. A client that shows a former token does not, nor does a party that acts for the owner.
fn by_whom<'a>(which: &Which, session: &Ended, context: &'a AuditContext) -> Cow<'a, AuditContext> {
    match (which, context.actor) {
        (Which::Tokens(shown), Actor::Anonymous) if shown.contains(&session.token_hash) && session.acting.is_none() => {
            Cow::Owned(AuditContext { actor: Actor::User(session.user_id), ..context.clone() })
        }
        _ => Cow::Borrowed(context),
    }
}
