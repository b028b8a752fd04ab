//! Hear: other nodes ask this one to drop copies.
//!
//! Owns the subscription, the answers, and the message that this node sends to itself: a node that does not hear it
//! could not hear the others either, and gives its lease for copies up. Must never answer before the copies are
//! dropped, and never wait for Redis between two messages.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::NearCache;
use crate::live::{Acknowledgement, DropRequest, Live, LiveError, NearListener};
use crate::service::core::log_on_change::{LogOnChange, stopped};

/// How often a node sends a message to itself.
const ECHO_EVERY: Duration = Duration::from_millis(300);
/// The pause after a lost subscription.
const PAUSE: Duration = Duration::from_millis(500);
/// Answers that wait to be sent; of more, the asking nodes learn by the lease.
const MOST_WAITING: usize = 4_096;
/// Answers that are sent together.
const TOGETHER: usize = 256;

type Answers = mpsc::Sender<(String, Acknowledgement)>;

impl NearCache {
    /// Listens to the other nodes until the node stops.
    pub(in crate::service) async fn hear_requests(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (Some(live), true) = (self.core.live.clone(), self.copies.is_some()) else { return };
        let (answers, waiting) = mpsc::channel(MOST_WAITING);
        let sending = tokio::spawn(send_answers(live.clone(), waiting));
        let mut log_on_change = LogOnChange::default();
        while !*stop.borrow_and_update() {
            let lost = tokio::select! {
                lost = self.listen(&live, &answers, &mut log_on_change) => lost,
                _ = stop.changed() => break,
            };
            self.fence.node_lease.set_deaf();
            log_on_change.about("hearing which copies to drop", Some(live.near_advice(lost)));
            if stopped(&mut stop, PAUSE).await {
                break;
            }
        }
        self.fence.node_lease.stop_copies();
        drop(answers);
        let _ended = sending.await;
    }

    async fn listen(&self, live: &Live, answers: &Answers, log_on_change: &mut LogOnChange) -> LiveError {
        let mut listener: NearListener = match live.hear_requests().await {
            Ok(listener) => listener,
            Err(error) => return error,
        };
        log_on_change.about("hearing which copies to drop", None::<LiveError>);
        loop {
            match listener.request().await {
                Ok(request) => self.obey(request, live, answers),
                Err(error) => return error,
            }
        }
    }

    fn obey(&self, DropRequest { from, number, hashes }: DropRequest, live: &Live, answers: &Answers) {
        self.fence.node_lease.drop_copies(&hashes);
        if from == live.own_name() {
            self.fence.node_lease.hear(self.core.clock().monotonic());
        } else if !hashes.is_empty() {
            let answer = Acknowledgement { holder: self.fence.node_lease.name(), number };
            // Too many at once: the asking node waits for the next renewal of the lease.
            let _full = answers.try_send((from, answer));
        }
    }

    /// Sends messages to this node itself until the node stops.
    pub(in crate::service) async fn send_echoes(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (Some(live), true) = (self.core.live.clone(), self.copies.is_some()) else { return };
        while !stopped(&mut stop, ECHO_EVERY).await {
            if let Err(error) = live.echo().await {
                log::debug!("a message to this node itself was not sent: {error}");
            }
        }
    }
}

/// Sends what waits: whatever arrived while the last answers were on their way goes together.
async fn send_answers(live: Live, mut waiting: mpsc::Receiver<(String, Acknowledgement)>) {
    let mut answers = Vec::with_capacity(TOGETHER);
    while waiting.recv_many(&mut answers, TOGETHER).await > 0 {
        if let Err(error) = live.acknowledge(&answers).await {
            log::debug!("other nodes were not told that copies are dropped: {error}");
        }
        answers.clear();
    }
}
