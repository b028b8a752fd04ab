//! Session data: what an application keeps in a session, and the token renewal that it may ask for.
//!
//! Owns the data's path into the ledger. A write goes to a live session under the shown token, or nowhere: a request in
//! flight while the session ends cannot revive it.

use std::collections::BTreeMap;

use crate::domain::Client;
use crate::domain::event::Event;
use crate::ledger::locks::Locked;
use crate::ledger::{Db, pending_invalidations, session_data};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::authority::Authority;
use crate::service::core::checked::Checked;
use crate::service::core::denied::Denied;
use crate::service::core::unavailable::Unavailable;
use crate::service::core::views::Renewed;
use crate::service::sign_in::SignIns;

/// Most bytes of data in one session, as JSON.
const MAX_BYTES: usize = 16 * 1024;

/// Names and values, as the application wrote them.
pub type SessionData = BTreeMap<String, String>;

/// Why data was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// It is more than a session holds.
    #[error("a session holds at most {MAX_BYTES} bytes of data")]
    TooLarge,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl SignIns {
    /// The data of this session; none when the session has ended. Runs no SQL while there is no data.
    pub async fn session_data(&self, checked: &Checked) -> Result<Option<SessionData>, Unavailable> {
        if !checked.has_data {
            return Ok(Some(SessionData::new()));
        }
        let id = checked.session;
        let Some(stored) = self.core.ledger.read(move |db| session_data::data(db, id)).await? else {
            return Ok(None);
        };
        let data = stored.as_deref().map(serde_json::from_str).transpose();
        data.map(|data| Some(data.unwrap_or_default())).map_err(|error| Unavailable::Store(error.to_string()))
    }

    /// Replaces the data of this session.
    pub async fn store_data(&self, checked: &Checked, data: &SessionData) -> Result<(), DataError> {
        let text = serde_json::to_string(data).map_err(|error| unavailable(&error))?;
        if text.len() > MAX_BYTES {
            return Err(DataError::TooLarge);
        }
        let Checked { session, token_hash, has_data, .. } = *checked;
        // The record says whether there is data: the first write outdates it, like a revocation.
        let outdated = (!has_data).then(|| self.sessions.pending_invalidation(token_hash, session));
        let (room, by) = (self.clone(), Authority::live(checked));
        let stored = self.core.write(move |db| {
            if room.core.lock(db, Some(&by), &[])?.is_err() {
                return Ok(false);
            }
            let now = room.core.clock().now();
            let stored = session_data::set_data(db, session, &token_hash, Some(&text), now)?;
            if stored {
                pending_invalidations::add(db, outdated.as_slice(), now)?;
            }
            Ok(stored)
        });
        if !stored.await.map_err(Denied::from)? {
            return Err(Denied::Ended.into());
        }
        // Until the record is gone, an answer with the old data is possible: this is no yes.
        self.sessions.invalidate(outdated.as_slice()).await.map_err(|error| unavailable(&error).into())
    }

    /// Gives a live session a new token, if its token is still the shown one. The old token is dead.
    pub async fn renew(&self, checked: &Checked, client: &Client) -> Result<Renewed, DataError> {
        let nothing_more = |_: &mut Db, _: &Locked, _: &AuditContext| Ok(Vec::new());
        let renewal = self.renew_token(checked, client, Event::SessionRenewed, None, nothing_more).await?;
        Ok(self.renewed(renewal, None).await)
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Denied {
    Denied::Unavailable(Unavailable::Store(error.to_string()))
}
