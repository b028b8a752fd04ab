//! Re-authenticate: a signed-in user proves their identity again.
//!
//! Owns the renewal of the proof, with that of the token: the session keeps its id.

use crate::domain::event::Event;
use crate::domain::{Client, Password};
use crate::fault_point;
use crate::ledger::Db;
use crate::ledger::locks::Locked;
use crate::service::core::audit_context::AuditContext;
use crate::service::core::checked::Checked;
use crate::service::core::denied::Denied;
use crate::service::core::views::Renewed;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::verify_current_password::NotProven;

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

impl SignIns {
    /// Renews the proof and the token of a live session, and binds it to the device that asks.
    pub async fn reauthenticate(
        &self,
        checked: &Checked,
        password: Password,
        client: &Client,
    ) -> Result<Renewed, ReauthenticateError> {
        let user = self.verify_current_password(checked, password, client).await?;
        fault_point::reach("re-authentication: verified");
        let nothing_more = |_: &mut Db, _: &Locked, _: &AuditContext| Ok(Vec::new());
        let renewal = self.renew_token(checked, client, Event::Reauthenticated, Some(user.epoch), nothing_more).await?;
        let device = self.new_device(&user, user.epoch);
        Ok(self.renewed(renewal, Some(device)).await)
    }
}
