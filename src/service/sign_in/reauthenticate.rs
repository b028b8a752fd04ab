//! Re-authentication: somebody who is signed in proves again who they are.
//!
//! Owns the renewal of the proof, and with it of the token (invariant 6): the same session under its id, with the old
//! token dead. Under the user's lock, so that a change of the password in between refuses it.

use crate::domain::event::Event;
use crate::domain::{Client, Password, Token, TokenHash};
use crate::fault_point;
use crate::ledger::pending_invalidations::{self, PendingInvalidation};
use crate::ledger::sessions::{self, Session};
use crate::ledger::{Db, LedgerError, audit, tokens};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::checked::Checked;
use crate::service::core::denied::Denied;
use crate::service::core::views::Renewed;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::verify_current_password::{NotProven, bind};

/// Why a proof was not renewed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReauthenticateError {
    /// It is another password. The session stays as it was.
    #[error("it is another password")]
    WrongPassword,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl From<NotProven> for ReauthenticateError {
    fn from(error: NotProven) -> Self {
        match error {
            NotProven::WrongPassword => Self::WrongPassword,
            NotProven::Denied(denied) => Self::Denied(denied),
        }
    }
}

/// What the transaction needs; drawn before it starts.
struct Renewal {
    checked: Checked,
    epoch: i64,
    renewed: TokenHash,
    context: AuditContext,
}

impl SignIns {
    /// Renews the proof and the token of a live session. It is bound to the device that asks.
    pub async fn reauthenticate(
        &self,
        checked: &Checked,
        password: Password,
        client: &Client,
    ) -> Result<Renewed, ReauthenticateError> {
        let user = self.own_password(checked, password, client).await?;
        fault_point::reach("re-authentication: verified");
        let token = Token::generate(self.core.random());
        let context = AuditContext::live(checked, client);
        let renewal = Renewal { checked: checked.clone(), epoch: user.epoch, renewed: token.hash(), context };
        let room = self.clone();
        let done = self.core.write(move |db| room.prove(db, &renewal)).await.map_err(Denied::from)?;
        let (session, records) = done.ok_or(Denied::Ended)?;
        fault_point::reach("re-authentication: committed");
        let device = self.new_device(&user, user.epoch);
        Ok(self.renewed(token, session, &records, Some(device)).await)
    }

    /// The transaction, under the user's lock. None, with nothing changed, when this session is no longer live under the token that was
    /// shown, or the password is no longer the one that was verified.
    fn prove(
        &self,
        db: &mut Db,
        renewal: &Renewal,
    ) -> Result<Option<(Session, Vec<PendingInvalidation>)>, LedgerError> {
        let Checked { user, session, token_hash, .. } = renewal.checked;
        let Ok(locked) = self.core.lock(db, renewal.context.authority.as_ref(), &[])? else { return Ok(None) };
        let unchanged = locked.user(user).is_some_and(|row| row.epoch == renewal.epoch);
        let now = self.core.clock().now();
        if !unchanged || !tokens::rotate(db, session, &token_hash, &renewal.renewed, Some(now))? {
            return Ok(None);
        }
        fault_point::reach("re-authentication: token renewed");
        bind(db, &renewal.checked, &renewal.context)?;
        pending_invalidations::add(db, &[self.sessions.pending_invalidation(token_hash, session)], now)?;
        fault_point::reach("re-authentication: old token noted");
        // With whatever earlier renewals have left to be confirmed.
        let records = pending_invalidations::of_sessions_or_tokens(db, &[session], &[])?;
        audit::append(db, &self.audit.entry(Event::Reauthenticated, &renewal.context, Some(user), Some(session)))?;
        fault_point::reach("re-authentication: line written");
        Ok(sessions::find(db, session)?.map(|row| (row, records)))
    }
}
