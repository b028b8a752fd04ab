//! The end of every renewal of a token, after its commit.
//!
//! Owns the invalidation of the old token, and the answer. Must never run before the commit: the answer
//! carries the new token.

use crate::domain::{DeviceCookie, Token};
use crate::ledger::pending_invalidations::PendingInvalidation;
use crate::ledger::sessions::Session;
use crate::service::core::views::{Renewed, SessionView};
use crate::service::sign_in::SignIns;

impl SignIns {
    /// Invalidates `records`, and answers with the new token. A renewal is a use: the ledger may learn of it later.
    pub(in crate::service) async fn renewed(
        &self,
        token: Token,
        mut session: Session,
        records: &[PendingInvalidation],
        device: Option<DeviceCookie>,
    ) -> Renewed {
        session.last_seen_at = session.last_seen_at.max(self.core.clock().now());
        let invalidated = self.sessions.invalidate(records).await.inspect_err(|error| log::warn!("{error}")).is_ok();
        let view = SessionView::new(&session, self.core.last_use(&session, None), Some(session.id));
        Renewed { token, session: view, device, invalidated }
    }
}
