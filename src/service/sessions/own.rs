//! Own sessions: a user lists them, ends one, ends the others, signs out.
//!
//! Owns what users can do with their own sessions. Another user's session does not exist here.

use crate::domain::throttle::Counts;
use crate::domain::{Client, EndReason, SessionId, TokenHash, UserId};
use crate::ledger::sessions::{self, Session, Which};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::checked::Checked;
use crate::service::core::denied::Denied;
use crate::service::core::last_use::LastUse;
use crate::service::core::unavailable::Unavailable;
use crate::service::core::views::SessionView;
use crate::service::sessions::Sessions;
use crate::service::sessions::end::{Existed, Those};

impl Sessions {
    /// The user's live sessions, including the current one, the last used first.
    pub async fn list_sessions(&self, checked: &Checked) -> Result<Vec<SessionView>, Unavailable> {
        self.sessions_of(checked.user, Some(checked.session)).await
    }

    /// A user's live sessions from the ledger and, where they are newer, from the records.
    pub async fn sessions_of(&self, user: UserId, current: Option<SessionId>) -> Result<Vec<SessionView>, Unavailable> {
        Ok(self.known_sessions(user, current).await?.into_iter().map(|(_, _, view)| view).collect())
    }

    /// The same with their rows and last uses.
    pub(in crate::service) async fn known_sessions(
        &self,
        user: UserId,
        current: Option<SessionId>,
    ) -> Result<Vec<(Session, LastUse, SessionView)>, Unavailable> {
        let now = self.core.clock().now();
        let rows = self.core.ledger.read(move |db| sessions::of_user(db, user, now)).await?;
        let hashes: Vec<_> = rows.iter().map(|row| row.token_hash).collect();
        let records = match &self.core.live {
            Some(live) => live.read_many(&hashes, now).await,
            None => Vec::new(),
        };
        let records = records.into_iter().chain(std::iter::repeat(None));
        let views = rows.into_iter().zip(records).map(|(row, record)| {
            let last = self.core.last_use(&row, record.as_ref());
            let view = SessionView::new(&row, last.clone(), current);
            (row, last, view)
        });
        // The current session is live: its check said so a moment ago.
        let mut views: Vec<_> = views.filter(|(_, _, view)| view.current || now < view.idle_expires_at).collect();
        views.sort_by_key(|(_, _, view)| std::cmp::Reverse(view.last_seen_at));
        Ok(views)
    }

    /// Ends one of the user's sessions. Any other than the current one requires a recent proof.
    pub async fn sign_out_session(
        &self,
        checked: &Checked,
        session: SessionId,
        client: &Client,
    ) -> Result<Existed, Denied> {
        let own = checked.session == session;
        let reason = if own { EndReason::SignedOut } else { EndReason::SignedOutElsewhere };
        let context =
            if own { AuditContext::user(checked.user, client) } else { AuditContext::proven(checked, client) };
        let ended = self.end(Which::One(session, checked.user), reason, &context).await?;
        Ok(Existed(ended.found))
    }

    /// Ends all of these sessions of the user. Requires a recent proof. Returns how many were live. Never throttled while
    /// there is a session to end.
    pub async fn sign_out_sessions(&self, checked: &Checked, those: Those, client: &Client) -> Result<usize, Denied> {
        let context = AuditContext::proven(checked, client);
        let counted = self.core.count_in(&self.core.spans_of(&checked.user.to_string(), Counts::Changes)).await;
        let throttled = counted.as_ref().err().copied();
        let ended = self.end_all(checked.user, those, EndReason::SignedOutElsewhere, &context, throttled).await;
        if let Ok(counted) = &counted
            && !matches!(&ended, Ok(Some(ended)) if ended.is_nothing())
        {
            self.core.uncount(counted).await;
        }
        Ok(ended?.map_or(0, |ended| ended.live))
    }

    /// Ends the sessions that these tokens open, or once opened. If there is none, that is no error: a client can repeat
    /// a sign-out. An old token of a session can end the session, but not use it. So an owner whose browser has only an
    /// old token can still sign out a thief who has the current one.
    pub async fn sign_out(&self, token_hashes: &[TokenHash], client: &Client) -> Result<(), Denied> {
        if token_hashes.is_empty() || self.is_over(token_hashes).await? {
            return Ok(());
        }
        let context = AuditContext::anonymous(client);
        self.end(Which::Tokens(token_hashes.to_vec()), EndReason::SignedOut, &context).await.map(drop)
    }
}
