//! Spread: tell the streams that something about a session may have changed, here and on the other nodes.
//!
//! Owns both ways: this node's own streams are told directly, those of others by way of Redis, where whoever hears of it
//! asks the ledger. Must never be waited for by a request, and never be relied on: every node also looks by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::{SessionId, random};
use crate::live::{Listener, Live, LiveError};
use crate::service::events::Events;

/// The first pause after a lost subscription, and the longest; each one may be twice as long as the one before.
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

    /// Listens to the other nodes, until it is time to stop.
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
                            "other nodes cannot be heard, so pages learn of what they do only within ten seconds: grant \
                             Redis' user +subscribe and &{}",
                            live.channel()
                        );
                    }
                    pause = LONGEST_PAUSE;
                }
                Err(error) => log::debug!("other nodes are not heard: {error}"),
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

    /// Listens for as long as the subscription lasts. What was said before it is lost, so everything is looked at.
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
