//! Readiness: can this node answer?
//!
//! Owns the questions that a load balancer's probe asks. Ready means: send me requests. A node is, as long as it can say
//! who is signed in: from the ledger, or from Redis while that may be believed without it. All nodes share both, so that a
//! probe which takes a node out for what fails everywhere would take out all of them.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::ledger::{self, LedgerError};

/// Most that this node's clock may differ from the database's.
const MAX_SKEW: Duration = Duration::from_secs(2);

/// What a probe is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether requests should be sent here: whether this node can say who is signed in. What fails beside that is told below.
    pub ready: bool,
    /// Whether the ledger answers; while it does not, checks may go on by Redis, and all else is 503; `outdated` when it is an older copy that was put back: `sessiond ledger restored`.
    pub ledger: Condition,
    /// Whether Redis answers; `unused` when there is none.
    pub redis: Condition,
    /// Whether this node's clock agrees with the ledger's to two seconds.
    pub clock: Condition,
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

impl App {
    /// Asks each part, with a bound on each answer.
    pub async fn readiness(&self) -> Readiness {
        let started = self.clock().now();
        let there = self.shared.ledger.read(ledger::now_ms).await;
        let (ledger, clock) = match there {
            Ok(there) => (Condition::Ok, self.skew(started.ms(), there)),
            Err(LedgerError::Outdated) => (Condition::Outdated, Condition::Unknown),
            Err(error) => {
                log::warn!("the database does not answer: {error}");
                (Condition::Failing, Condition::Unknown)
            }
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
        Readiness { ready: answers && clock != Condition::Failing, ledger, redis, clock }
    }

    /// The database's time must lie between the moments before and after it was asked, give or take the bound.
    fn skew(&self, before: i64, there: i64) -> Condition {
        let bound = crate::domain::clock::millis(MAX_SKEW);
        let after = self.clock().now().ms();
        let agrees = there >= before.saturating_sub(bound) && there <= after.saturating_add(bound);
        if !agrees {
            log::warn!("not ready: this node's clock is {} ms ahead of the database's", before.saturating_sub(there));
        }
        if agrees { Condition::Ok } else { Condition::Failing }
    }
}
