//! The id of a request: in its answer, in the log and in the audit log.
//!
//! Owns its source, and access to it for code without the request. The id must never be secret or carry a meaning.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::{Builder, Uuid};

use crate::domain::{Random, random};

tokio::task_local! {
    static REQUEST_ID: Uuid;
}

/// The current request's id; `None` outside of a request.
pub fn current() -> Option<Uuid> {
    REQUEST_ID.try_get().ok()
}

/// Runs `work` as a part of the request `id`.
pub async fn within<T>(id: Uuid, work: impl Future<Output = T>) -> T {
    REQUEST_ID.scope(id, work).await
}

/// One worker's request ids: distinct, not secret, and cheaper than a system call for each.
#[derive(Debug)]
pub struct RequestIds {
    start: [u64; 2],
    next: AtomicU64,
}

impl RequestIds {
    /// Ids from a random start.
    pub fn new(random: &dyn Random) -> Self {
        let halves = || u64::from_le_bytes(random::bytes(random));
        Self { start: [halves(), halves()], next: AtomicU64::new(0) }
    }

    /// The next unused id, in the form of a random UUID.
    pub fn next(&self) -> Uuid {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let [high, low] = self.start.map(|start| spread(start.wrapping_add(count)));
        Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes()).into_uuid()
    }
}

/// SplitMix64: makes consecutive numbers look unrelated, so that ids differ at a glance.
fn spread(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::SystemRandom;

    #[test]
    fn request_ids_are_unlike_each_other_and_look_like_random_uuids() {
        let ids = RequestIds::new(&SystemRandom);
        let seen: HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(seen.len(), 10_000);
        assert!(seen.iter().all(|id| id.get_version_num() == 4));
    }
}
