//! Spread: hints to the streams of this and the other nodes that a session may have changed.
//!
//! Owns both ways: direct for this node's own streams, and through Redis for other nodes, which then ask the ledger. A
//! request must never wait for it, and no node may rely on it: every node also looks by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::{SessionId, random};
use crate::live::{Listener, Live, LiveError};
use crate::service::events::Events;

/// The first and the longest pause after a lost subscription; each may be twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Events {
    /// A session has begun: its owner's other pages show it.
    pub(in crate::service) fn spread(&self, session: SessionId) {
        self.hub.hint([session]);
        let Some(live) = self.core.live.clone() else { return };
        tokio::spawn(async move { publish(&live, &[session]).await });
    }

    /// Tells the other nodes.
    pub(in crate::service) async fn spread_to_others(&self, sessions: &[SessionId]) {
        if let Some(live) = &self.core.live {
            publish(live, sessions).await;
        }
    }

    /// Listens to the other nodes until the node stops.
    pub(in crate::service) async fn hear_others(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(live) = self.core.live.clone() else { return };
        let (mut pause, mut muted) = (FIRST_PAUSE, false);
        while !*stop.borrow_and_update() {
            let lost = tokio::select! {
                lost = self.listen(&live, &mut pause) => lost,
                _ = stop.changed() => return,
            };
            self.hub.set_deaf(true);
            match lost {
                Err(LiveError::Refused(code)) if code == "NOPERM" => {
                    if !std::mem::replace(&mut muted, true) {
                        log::warn!(
                            "this node cannot hear the others, so open pages learn of their changes up to ten seconds \
                             late: grant Redis' user +subscribe and &{}",
                            live.channel()
                        );
                    }
                    pause = LONGEST_PAUSE;
                }
                Err(error) => log::debug!("this node does not hear the others: {error}"),
                Ok(()) => {}
            }
            let [chance] = random::bytes(self.core.random());
            let jittered = pause / 2 + pause / 2 * u32::from(chance) / 255;
            pause = (pause * 2).min(LONGEST_PAUSE);
            tokio::select! {
                () = tokio::time::sleep(jittered) => {}
                _ = stop.changed() => return,
            }
        }
    }

    /// Listens while the subscription lasts. Earlier hints are lost, so every session is looked up.
    async fn listen(&self, live: &Live, pause: &mut Duration) -> Result<(), LiveError> {
        let mut listener: Listener = live.listen().await?;
        *pause = FIRST_PAUSE;
        self.hub.set_deaf(false);
        loop {
            let heard = listener.hear().await?;
            self.hub.hint([heard]);
        }
    }
}

async fn publish(live: &Live, sessions: &[SessionId]) {
    if let Err(error) = live.announce(sessions).await {
        log::debug!("other nodes were not told of a session: {error}");
    }
}
