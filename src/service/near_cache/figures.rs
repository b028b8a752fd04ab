//! Figures: what the near cache does, for the operator.
//!
//! Owns their sum over all workers, and the log line that tells it once a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::NearCache;
use super::counts::Counts;
use crate::service::core::log_on_change::stopped;

const EVERY: Duration = Duration::from_secs(60);

/// The figures of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NearCacheFigures {
    /// Checks that a copy answered.
    pub hits: u64,
    /// Checks that went the long way although there is a near cache.
    pub misses: u64,
    /// Copies in memory.
    pub entries: usize,
    /// Whether copies may be used now.
    pub in_use: bool,
}

impl NearCache {
    /// What this node has answered since it started; none when the near cache is off.
    pub fn figures(&self) -> Option<NearCacheFigures> {
        let copies = self.copies.as_ref()?;
        let counts = copies.counts.lock();
        let sum = |of: fn(&Counts) -> &AtomicU64| counts.iter().map(|it| of(it).load(Ordering::Relaxed)).sum();
        Some(NearCacheFigures {
            hits: sum(|counts| &counts.hits),
            misses: sum(|counts| &counts.misses),
            entries: copies.entries(),
            in_use: self.fence.node_lease.runs(self.core.clock().monotonic()),
        })
    }

    /// Logs the figures until the node stops, once a minute and only when there is something new.
    pub(in crate::service) async fn tell_figures(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut told = NearCacheFigures::default();
        while !stopped(&mut stop, EVERY).await {
            let Some(now) = self.figures() else { return };
            let (hits, misses) = (now.hits - told.hits, now.misses - told.misses);
            if hits + misses > 0 {
                log::info!(
                    "near cache: {hits} of {} checks were answered from {} copies{}",
                    hits + misses,
                    now.entries,
                    if now.in_use { "" } else { "; copies are not in use now" }
                );
            }
            told = now;
        }
    }
}
