//! Readiness: can this node answer?
//!
//! Owns the answers to a load balancer's probe. A node is ready while it can authenticate requests: from the ledger, or
//! from Redis while it may trust Redis alone. All nodes share both stores, so a probe that removes a node for a shared
//! failure would remove every node.

use crate::domain::Skew;
use crate::ledger::{self, Refusal};
use crate::service::core::log_on_change::LogOnChange;
use crate::service::fence::Fence;
use crate::service::fence::readiness::{Condition, Readiness};

impl Fence {
    /// Asks each part, with a time limit on each answer. Only one probe runs at a time and concurrent callers share its
    /// answer, so that a flood of probes cannot starve the load balancer's.
    pub async fn readiness(&self) -> Readiness {
        let asked = self.core.clock().monotonic();
        let mut probe = self.probe.lock().await;
        if let Some((_, told)) = probe.told.as_ref().filter(|(at, _)| *at > asked) {
            return told.clone();
        }
        let told = self.ask_all(&mut probe.log_on_change).await;
        probe.told = Some((self.core.clock().monotonic(), told.clone()));
        told
    }

    async fn ask_all(&self, log_on_change: &mut LogOnChange) -> Readiness {
        // Also over the connections that serve checks.
        let answer = self.core.ledger.read_regardless(ledger::now_ms);
        let (compared, answer) = tokio::join!(self.compare_clocks(), answer);
        let compared = answer.and(compared);
        log_on_change.about("checking the database", compared.as_ref().err());
        let (ledger, clock) = match compared {
            _ if self.core.ledger.refuses(Refusal::Outdated) => (Condition::Outdated, Condition::Unknown),
            Ok(Skew::Small) => (Condition::Ok, Condition::Ok),
            Ok(Skew::Large(_)) => (Condition::Ok, Condition::Failing),
            Ok(Skew::Unknown) => (Condition::Ok, Condition::Unknown),
            Err(_) => (Condition::Failing, Condition::Unknown),
        };
        let redis = match &self.core.live {
            None => Condition::Unused,
            Some(live) => live.ping().await.map_or(Condition::Failing, |()| Condition::Ok),
        };
        let by_redis = || redis == Condition::Ok && self.fence.as_ref().is_some_and(|fence| fence.trusts_any());
        let (has_ledger_lease, lease) = (self.core.ledger.has_lease(), self.lease_condition());
        let answers = match ledger {
            Condition::Ok if has_ledger_lease => true,
            Condition::Ok | Condition::Failing => by_redis(),
            _ => false,
        };
        let displaced = self.core.ledger.refuses(Refusal::Displaced) || self.core.ledger.place_ran_out();
        let settings = if displaced { Condition::Failing } else { Condition::Ok };
        Readiness { ready: answers && clock != Condition::Failing && !displaced, ledger, redis, clock, settings, lease }
    }
    /// A lease for copies is missed only once this node should have one.
    fn lease_condition(&self) -> Condition {
        let lease = &self.node_lease;
        let misses_copies = lease.should_copy() && !lease.runs(self.core.clock().monotonic());
        match () {
            () if !self.needs_row() => Condition::Unused,
            () if misses_copies || !self.core.ledger.has_lease() => Condition::Failing,
            () => Condition::Ok,
        }
    }
}
