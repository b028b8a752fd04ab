//! End matching: ends the sessions that fit a filter, a bounded number at a time, by the path of every revocation.
//!
//! Owns the loop over pages. Each page is one transaction and one invalidation; unconfirmed sessions are counted
//! separately and never as ended. It first invalidates what an earlier command of the same filter left unconfirmed, so
//! that a repetition never relies on the first. The session that asks is left out.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::event::Event;
use crate::domain::{EndReason, Filter, SessionId};
use crate::fault_point;
use crate::ledger::audit::{self, Entry};
use crate::ledger::pending_invalidations::PendingInvalidation;
use crate::ledger::sessions::{self, Which};
use crate::ledger::{LedgerError, search};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::authority::{Authority, SessionAuthority};
use crate::service::core::denied::Denied;
use crate::service::sessions::Sessions;
use crate::service::sessions::end::EndedSessions;

/// Sessions in one transaction: with a single writer, other writes wait for it.
const PAGE: usize = 250;
/// The command answers after this time; the caller repeats it for the rest.
const BUDGET: Duration = Duration::from_secs(15);
/// After one page could not be invalidated, each later page gets one attempt: ending the sessions comes first.
const IMPATIENT: Duration = Duration::ZERO;

/// What to end.
#[derive(Clone, Debug)]
pub struct Matching {
    /// Which sessions.
    pub filter: Filter,
    /// Only count them.
    pub dry_run: bool,
    /// The maximum number of sessions.
    pub limit: usize,
    /// Only sessions older than this one: where an earlier answer stopped.
    pub after: Option<SessionId>,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Outcome {
    /// Live sessions that match.
    pub matched: usize,
    /// The sessions that this request ended and confirmed; 0 in a dry run.
    pub revoked: usize,
    /// The sessions that have ended in the ledger, by this or an earlier request with this filter, but are not
    /// confirmed yet: a node may still answer from their records. Confirmation continues.
    pub unconfirmed: usize,
    /// Whether more sessions may match.
    pub more: bool,
    /// Where to continue, if there may be more.
    #[serde(skip)]
    pub next: Option<SessionId>,
}

impl Sessions {
    /// Ends sessions that fit, or counts them. Unconfirmed ones are told in the outcome, not as an error.
    pub async fn revoke_matching(&self, wanted: Matching, context: &AuditContext) -> Result<Outcome, Denied> {
        if wanted.dry_run {
            return self.walk(&wanted, context, &mut Outcome::default()).await;
        }
        self.core.ask_first(context).await??;
        let mut outcome = Outcome { unconfirmed: self.invalidate_left(&wanted.filter).await?, ..Outcome::default() };
        let outcome = self.walk(&wanted, context, &mut outcome).await?;
        if outcome.matched == 0 {
            self.note_nothing(&wanted.filter, context).await?;
        }
        Ok(outcome)
    }

    async fn walk(&self, wanted: &Matching, context: &AuditContext, so_far: &mut Outcome) -> Result<Outcome, Denied> {
        let started = self.core.clock().monotonic();
        so_far.next = wanted.after;
        loop {
            let room = wanted.limit.saturating_sub(so_far.matched).min(PAGE);
            let page = self.fitting(wanted.filter.clone(), so_far.next, room).await?;
            let own = context.authority.as_ref().and_then(Authority::session).map(SessionAuthority::session);
            let ids: Vec<_> = page.rows.iter().map(|(row, _)| row.id).filter(|id| Some(*id) != own).collect();
            drop(page.rows);
            if wanted.dry_run {
                so_far.matched += ids.len();
            } else if !ids.is_empty() {
                self.end_page(&wanted.filter, ids, context, so_far).await?;
            }
            so_far.next = page.next;
            so_far.more = page.next.is_some();
            let elapsed = self.core.clock().monotonic().saturating_sub(started);
            if !so_far.more || so_far.matched >= wanted.limit || elapsed >= BUDGET {
                return Ok(so_far.clone());
            }
        }
    }

    async fn end_page(
        &self,
        filter: &Filter,
        ids: Vec<SessionId>,
        context: &AuditContext,
        outcome: &mut Outcome,
    ) -> Result<(), Denied> {
        let (room, context, filter) = (self.clone(), context.clone(), filter.clone());
        let is_first = outcome.matched == 0;
        let found = Which::These(ids.clone());
        let ended = self.core.write(move |db| {
            let owners = sessions::owners(db, &found)?;
            let locked = match room.core.lock(db, context.authority.as_ref(), &owners)? {
                Ok(locked) => locked,
                Err(unproven) => return Ok(Err(unproven)),
            };
            // A session that was used, or moved, since the search no longer fits.
            let ids = search::still(db, &filter, &ids)?;
            let ended = room.end_rows(db, &locked, &Which::These(ids), EndReason::Revoked, &context)?;
            // Another request may have ended all of them meanwhile: then the line comes with the next page.
            if is_first && ended.ended > 0 {
                audit::append(db, &room.line(&filter, &context))?;
            }
            Ok(Ok(ended))
        });
        let ended: EndedSessions = ended.await??;
        fault_point::reach("end matching: committed");
        outcome.matched += ended.ended;
        let invalidated = match outcome.unconfirmed {
            0 => self.invalidate(&ended.records).await,
            _ => self.invalidate_within(&ended.records, IMPATIENT).await,
        };
        match invalidated {
            Ok(()) => outcome.revoked += ended.ended,
            Err(why) => {
                log::warn!("{} sessions that a filter ended are not invalidated yet: {why}", ended.ended);
                outcome.unconfirmed += ended.ended;
            }
        }
        fault_point::reach("end matching: page done");
        Ok(())
    }

    /// The command's line where nothing was ended that it could have been written with.
    async fn note_nothing(&self, filter: &Filter, context: &AuditContext) -> Result<(), Denied> {
        let (room, context, line) = (self.clone(), context.clone(), self.line(filter, context));
        let noted = self.core.write(move |db| match room.core.lock(db, context.authority.as_ref(), &[])? {
            Ok(_) => audit::append(db, &line).map(Ok),
            Err(unproven) => Ok(Err(unproven)),
        });
        noted.await?
    }

    /// Confirms the pending invalidations of sessions that fit and have ended. Returns how many sessions stay
    /// unconfirmed.
    async fn invalidate_left(&self, filter: &Filter) -> Result<usize, LedgerError> {
        let (mut after, mut left) = (None, HashSet::new());
        loop {
            let wanted = filter.clone();
            let found =
                self.core.ledger.read(move |db| search::pending_invalidations(db, &wanted, after, PAGE)).await?;
            let Some(last) = found.last() else { return Ok(left.len()) };
            after = Some(last.id);
            let invalidated = match left.is_empty() {
                true => self.invalidate(&found).await,
                false => self.invalidate_within(&found, IMPATIENT).await,
            };
            if invalidated.is_err() {
                left.extend(found.iter().map(|record: &PendingInvalidation| record.session));
            }
        }
    }

    /// One line for the command, with the first sessions that it ends: even if this node dies, the log shows the
    /// filter. Each session also has its own line with the same request id.
    fn line(&self, filter: &Filter, context: &AuditContext) -> Entry {
        let mut line = self.audit.entry(Event::SessionsRevokedByFilter, context, filter.user, None);
        line.detail = Some(filter.to_string());
        line
    }
}
