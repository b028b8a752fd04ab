//! Counts: what the near cache answered on one worker.
//!
//! Owns [`Counts`]. Must never make workers share a counter: each check writes it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one worker answered.
#[derive(Default)]
pub struct Counts {
    pub(in crate::service) hits: AtomicU64,
    pub(in crate::service) misses: AtomicU64,
}

impl Counts {
    pub(in crate::service) fn count(&self, is_hit: bool) {
        let counter = if is_hit { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
