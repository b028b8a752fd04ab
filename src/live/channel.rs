//! Channel: the one channel of a deployment, where nodes tell each other that a session may have changed.
//!
//! Owns its messages. A message is only a session's public id; the receiver asks the ledger. No node may rely on a
//! message's arrival.

use std::sync::atomic::Ordering;

use futures_util::FutureExt;

use super::listener::{Listener, word};
use super::{Live, LiveError};
use crate::domain::SessionId;

impl Live {
    /// The channel's name.
    pub fn channel(&self) -> String {
        format!("{}changed", self.shared.prefix)
    }

    /// Tells every other node that these sessions may have changed.
    pub async fn announce(&self, sessions: &[SessionId]) -> Result<(), LiveError> {
        if sessions.is_empty() {
            return Ok(());
        }
        let (shared, channel) = (&self.shared, self.channel());
        let words: Vec<_> = sessions.iter().map(|session| (channel.clone(), word(&shared.own, *session))).collect();
        // Any node of a cluster passes it on to the others.
        let told = self.connections.any().boxed().await?.publish(&words).await;
        if matches!(&told, Err(LiveError::Refused(code)) if code == "NOPERM")
            && !shared.muted.swap(true, Ordering::SeqCst)
        {
            log::warn!(
                "this node cannot tell the others that a session ended: grant Redis' user +publish and &{channel}"
            );
        }
        told
    }

    /// Listens to the other nodes from now on.
    pub async fn listen(&self) -> Result<Listener, LiveError> {
        let shared = &self.shared;
        Listener::subscribe(&shared.post, &[self.channel()], std::sync::Arc::clone(&shared.own), &shared.config).await
    }
}
