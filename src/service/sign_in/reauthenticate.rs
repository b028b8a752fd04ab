//! Re-authenticate: a signed-in user proves their identity again.
//!
//! Owns the renewal of the proof and of the token (invariant 6): the session keeps its id, and the old token is dead.
//! Runs under the user's lock, so that a concurrent password change makes it fail.

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
    /// The password is wrong. The session is unchanged.
    #[error("the password is wrong")]
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

/// The transaction's input; drawn before it starts.
struct Renewal {
    checked: Checked,
    epoch: i64,
    renewed: TokenHash,
    context: AuditContext,
}

impl SignIns {
    /// Renews the proof and the token of a live session, and binds it to the device that asks.
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

    /// The transaction, under the user's lock. None, with nothing changed, when the session is no longer live under the
    /// shown token, or the verified password is no longer the current one.
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
        // Includes what earlier renewals left pending.
        let records = pending_invalidations::of_sessions_or_tokens(db, &[session], &[])?;
        audit::append(db, &self.audit.entry(Event::Reauthenticated, &renewal.context, Some(user), Some(session)))?;
        fault_point::reach("re-authentication: line written");
        Ok(sessions::find(db, session)?.map(|row| (row, records)))
    }
}
