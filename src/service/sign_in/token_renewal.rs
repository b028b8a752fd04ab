//! Token renewal: a live session gets a new token, and the old one is dead (invariant 6).
//!
//! Owns the one transaction of every renewal, under the user's lock, so that a concurrent change of the password makes
//! it fail. Must never answer before the commit: the answer carries the new token.

use crate::domain::event::Event;
use crate::domain::{Client, DeviceCookie, Token, TokenHash};
use crate::fault_point;
use crate::ledger::locks::Locked;
use crate::ledger::pending_invalidations::{self, PendingInvalidation};
use crate::ledger::sessions::{self, Session};
use crate::ledger::{Db, LedgerError, audit, proofs, tokens};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::checked::Checked;
use crate::service::core::denied::Denied;
use crate::service::core::views::{Renewed, SessionView};
use crate::service::sign_in::SignIns;

/// The transaction's input; drawn before it starts.
struct Renewal {
    checked: Checked,
    renewed: TokenHash,
    event: Event,
    /// The epoch under which the owner's password was just verified; none when the renewal proves nothing.
    epoch: Option<i64>,
    context: AuditContext,
}

/// A renewal that is committed. Its old token is dead only after [`SignIns::renewed`].
pub(in crate::service) struct CommittedRenewal {
    token: Token,
    session: Session,
    /// The records to invalidate.
    records: Vec<PendingInvalidation>,
}

impl SignIns {
    /// Gives a live session a new token, if its token is still the shown one. If the owner's password was just
    /// verified, under this `epoch`, it also renews the proof and binds the session to the device that asks; a password
    /// that has changed since is refused. `also` is done in the same transaction, and returns more records to
    /// invalidate.
    pub(in crate::service) async fn renew_token(
        &self,
        checked: &Checked,
        client: &Client,
        event: Event,
        epoch: Option<i64>,
        also: impl Fn(&mut Db, &Locked, &AuditContext) -> Result<Vec<PendingInvalidation>, LedgerError> + Send + 'static,
    ) -> Result<CommittedRenewal, Denied> {
        let token = Token::generate(self.core.random());
        let context = AuditContext::live(checked, client);
        let renewal = Renewal { checked: checked.clone(), renewed: token.hash(), event, epoch, context };
        let room = self.clone();
        let done = self.core.write(move |db| room.replace_token(db, &renewal, &also)).await?;
        let (session, records) = done.ok_or(Denied::Ended)?;
        fault_point::reach("renewal: committed");
        Ok(CommittedRenewal { token, session, records })
    }

    /// The transaction. None, with nothing changed, when the session is no longer live under the shown token, or the
    /// verified password is no longer the current one.
    fn replace_token(
        &self,
        db: &mut Db,
        renewal: &Renewal,
        also: impl Fn(&mut Db, &Locked, &AuditContext) -> Result<Vec<PendingInvalidation>, LedgerError>,
    ) -> Result<Option<(Session, Vec<PendingInvalidation>)>, LedgerError> {
        let Checked { user, session, token_hash, .. } = renewal.checked;
        let by = renewal.context.authority.as_ref();
        // A new password ends other sessions.
        let Ok(locked) = self.core.lock_with_acted(db, by, user, &[])? else { return Ok(None) };
        let current = locked.user(user).map(|row| row.epoch);
        let now = self.core.clock().now();
        let proven_at = renewal.epoch.map(|_| now);
        if (renewal.epoch.is_some() && renewal.epoch != current)
            || !tokens::rotate(db, session, &token_hash, &renewal.renewed, proven_at)?
        {
            return Ok(None);
        }
        fault_point::reach("renewal: token renewed");
        if renewal.epoch.is_some() {
            bind(db, &renewal.checked, &renewal.context)?;
        }
        let mut records = also(db, &locked, &renewal.context)?;
        pending_invalidations::add(db, &[self.sessions.pending_invalidation(token_hash, session)], now)?;
        fault_point::reach("renewal: invalidation added");
        // Of this session, also what earlier renewals left pending.
        records.retain(|record| record.session != session);
        records.extend(pending_invalidations::of_sessions_or_tokens(db, &[session], &[])?);
        audit::append(db, &self.audit.entry(renewal.event, &renewal.context, Some(user), Some(session)))?;
        fault_point::reach("renewal: line written");
        Ok(sessions::find(db, session)?.map(|row| (row, records)))
    }

    /// Invalidates the old token, and answers with the new one. A renewal is a use: the ledger may learn of it later.
    pub(in crate::service) async fn renewed(&self, renewal: CommittedRenewal, device: Option<DeviceCookie>) -> Renewed {
        let CommittedRenewal { token, mut session, records } = renewal;
        session.last_seen_at = session.last_seen_at.max(self.core.clock().now());
        let invalidated = self.sessions.invalidate(&records).await.inspect_err(|error| log::warn!("{error}")).is_ok();
        let view = SessionView::new(&session, self.core.last_use(&session, None), Some(session.id));
        Renewed { token, session: view, device, invalidated }
    }
}

/// Binds a session to the device on which its owner has just proven their identity, if the device names itself.
fn bind(db: &mut Db, checked: &Checked, context: &AuditContext) -> Result<(), LedgerError> {
    let user_agent = context.client.as_ref().and_then(|client| client.user_agent.as_deref());
    user_agent.map_or(Ok(()), |user_agent| proofs::bind(db, checked.session, user_agent))
}
