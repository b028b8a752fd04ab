//! Readiness: can this node answer?
//!
//! Owns the questions that a load balancer's probe asks. Ready means: send me requests. A node is, as long as it can say
//! who is signed in: from the ledger, or from Redis while that may be believed without it. All nodes share both, so that a
//! probe which takes a node out for what fails everywhere would take out all of them.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::sweeper::Complaint;
use crate::domain::Skew;
use crate::ledger::{self, Refusal};

/// What a probe is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether requests should be sent here: whether this node can say who is signed in. What fails beside that is told below.
    pub ready: bool,
    /// Whether the ledger answers; while it does not, checks may go on by Redis, and all else is 503; `outdated` when it is an older copy that was put back: `sessiond ledger restored`.
    pub ledger: Condition,
    /// Whether Redis answers; `unused` when there is none.
    pub redis: Condition,
    /// Whether this node's clock agrees with the ledger's to two seconds; while it does not, all else is 503, too.
    pub clock: Condition,
    /// Whether this node is set to what the others are; `failing` when one that is set to something else took its place while it stood still: until that one is gone, all is 503.
    pub settings: Condition,
}

/// The condition of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It works.
    Ok,
    /// It does not.
    Failing,
    /// It is older than it was seen to be.
    Outdated,
    /// It cannot be told.
    Unknown,
    /// It is not there and need not be.
    Unused,
}

/// The last answer, and since when; whoever asks holds it until the answer is there.
#[derive(Default)]
pub(super) struct Probe {
    told: Option<(Duration, Readiness)>,
    complaint: Complaint,
}

impl App {
    /// Asks each part, with a bound on each answer. One question at a time: whoever asks meanwhile gets its answer, so that
    /// no number of strangers who ask can keep a balancer from its own.
    pub async fn readiness(&self) -> Readiness {
        let asked = self.clock().monotonic();
        let mut probe = self.shared.probe.lock().await;
        if let Some((_, told)) = probe.told.as_ref().filter(|(at, _)| *at > asked) {
            return told.clone();
        }
        let told = self.ask_all(&mut probe.complaint).await;
        probe.told = Some((self.clock().monotonic(), told.clone()));
        told
    }

    async fn ask_all(&self, complaint: &mut Complaint) -> Readiness {
        // Also over the connections that checks are answered from.
        let answer = self.shared.ledger.read_regardless(ledger::now_ms);
        let (compared, answer) = tokio::join!(self.compare_clocks(), answer);
        let compared = answer.and(compared);
        complaint.about("asking the database whether it answers", compared.as_ref().err());
        let (ledger, clock) = match compared {
            _ if self.shared.ledger.refuses(Refusal::Outdated) => (Condition::Outdated, Condition::Unknown),
            Ok(Skew::Small) => (Condition::Ok, Condition::Ok),
            Ok(Skew::Large(_)) => (Condition::Ok, Condition::Failing),
            Ok(Skew::Unknown) => (Condition::Ok, Condition::Unknown),
            Err(_) => (Condition::Failing, Condition::Unknown),
        };
        let redis = match &self.live {
            None => Condition::Unused,
            Some(live) => live.ping().await.map_or(Condition::Failing, |()| Condition::Ok),
        };
        let by_redis =
            || redis == Condition::Ok && self.shared.fence.as_ref().is_some_and(|fence| fence.believes_any());
        let answers = match ledger {
            Condition::Ok => true,
            Condition::Failing => by_redis(),
            _ => false,
        };
        let displaced = self.shared.ledger.refuses(Refusal::Displaced) || self.shared.ledger.place_ran_out();
        let settings = if displaced { Condition::Failing } else { Condition::Ok };
        Readiness { ready: answers && clock != Condition::Failing && !displaced, ledger, redis, clock, settings }
    }
}
