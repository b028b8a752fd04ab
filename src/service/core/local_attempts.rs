//! Local attempts: this node's own counters of attempts, in a table of fixed size.
//!
//! Owns the counts where there is no Redis, and beside it: the limit of one node holds even when Redis is down or has
//! forgotten. Must never grow: the counter with the fewest failures makes room for a new one, so that a flood of new
//! names does not evict the counter of an account under attack.

use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::throttle::{AttemptCount, Backoff, Permit};
use crate::domain::{BucketId, Timestamp};

/// How many slots a counter may choose from.
const WAYS: usize = 8;
/// Together 32 768 counters, in about two megabytes.
const SETS: usize = 4_096;

#[derive(Clone, Copy)]
struct Counter {
    bucket: BucketId,
    count: u32,
    last: Timestamp,
}

/// Counters by name.
pub(in crate::service) struct LocalAttempts {
    sets: Mutex<Vec<[Option<Counter>; WAYS]>>,
    /// How long a count is remembered after the last attempt.
    memory: fn(u32) -> Duration,
}

impl LocalAttempts {
    /// Counters that expire as `memory` says.
    pub(in crate::service) fn new(memory: fn(u32) -> Duration) -> Self {
        Self { sets: Mutex::new(vec![[None; WAYS]; SETS]), memory }
    }

    /// Counts an attempt if the rule permits one more. Returns the count before it in either case.
    pub(in crate::service) fn reserve(
        &self,
        bucket: BucketId,
        rule: Backoff,
        now: Timestamp,
    ) -> Result<AttemptCount, AttemptCount> {
        self.at(bucket, now, |attempts| {
            let before = *attempts;
            if rule.judge(before, now) != Permit::Go {
                return Err(before);
            }
            *attempts = AttemptCount { count: before.count.saturating_add(1), last: Some(now) };
            Ok(before)
        })
    }

    /// Takes back an attempt that was counted after `before`.
    pub(in crate::service) fn give_back(&self, bucket: BucketId, before: AttemptCount, now: Timestamp) {
        self.at(bucket, now, |attempts| {
            let last = if attempts.count == before.count.saturating_add(1) { before.last } else { attempts.last };
            *attempts = AttemptCount { count: attempts.count.saturating_sub(1), last };
        });
    }

    /// Counts up to a limit, for the life of the bucket; false when the limit is reached.
    pub(in crate::service) fn count(&self, bucket: BucketId, limit: u32, now: Timestamp) -> bool {
        self.at(bucket, now, |attempts| {
            let fits = attempts.count < limit;
            if fits {
                *attempts = AttemptCount { count: attempts.count.saturating_add(1), last: Some(now) };
            }
            fits
        })
    }

    /// How many were counted.
    pub(in crate::service) fn counted(&self, bucket: BucketId, now: Timestamp) -> u32 {
        self.at(bucket, now, |attempts| attempts.count)
    }

    /// Takes one attempt back.
    pub(in crate::service) fn uncount(&self, bucket: BucketId, now: Timestamp) {
        self.at(bucket, now, |attempts| attempts.count = attempts.count.saturating_sub(1));
    }

    /// Removes a counter.
    pub(in crate::service) fn clear(&self, bucket: BucketId, now: Timestamp) {
        self.at(bucket, now, |attempts| *attempts = AttemptCount::default());
    }

    /// Changes one counter under its lock. One that is left at zero is removed.
    fn at<T>(&self, bucket: BucketId, now: Timestamp, change: impl FnOnce(&mut AttemptCount) -> T) -> T {
        let mut sets = self.sets.lock();
        let number = set_of(&bucket);
        let mut nowhere = [None; WAYS];
        let set = sets.get_mut(number).unwrap_or(&mut nowhere);
        for counter in set.iter_mut() {
            counter.take_if(|counter| now.since(counter.last) >= (self.memory)(counter.count));
        }
        let found = set.iter_mut().find(|counter| counter.is_some_and(|counter| counter.bucket == bucket));
        let mut attempts = AttemptCount::default();
        if let Some(counter) = found.as_ref().and_then(|counter| counter.as_ref()) {
            attempts = AttemptCount { count: counter.count, last: Some(counter.last) };
        }
        let answer = change(&mut attempts);
        let new = match attempts {
            AttemptCount { count: 1.., last: Some(last) } => Some(Counter { bucket, count: attempts.count, last }),
            _ => None,
        };
        match found {
            Some(counter) => *counter = new,
            None if new.is_some() => {
                // An empty place first, then the fewest failures, then the oldest.
                let least = set.iter_mut().min_by_key(|counter| counter.map(|counter| (counter.count, counter.last)));
                if let Some(least) = least {
                    *least = new;
                }
            }
            None => {}
        }
        answer
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.sets.lock().iter().flatten().flatten().count()
    }
}

/// The names look random, so any of their bytes will do.
fn set_of(bucket: &BucketId) -> usize {
    let [first, second, ..] = *bucket.as_bytes();
    usize::from(u16::from_be_bytes([first, second])) % SETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::throttle::{ONE_FORGOTTEN, memory};
    use crate::domain::{SystemRandom, ThrottleKey, random};

    fn key() -> ThrottleKey {
        ThrottleKey::derive(&[7; 64])
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_ms(1_000_000).plus(Duration::from_secs(seconds))
    }

    fn fail(attempts: &LocalAttempts, bucket: BucketId, times: u32) {
        for _ in 0..times {
            assert!(attempts.count(bucket, u32::MAX, at(0)));
        }
    }

    #[test]
    fn attempts_are_counted_before_anything_is_known_of_them() {
        let (attempts, bucket) = (LocalAttempts::new(memory), key().account("a"));
        for count in 0..5 {
            assert_eq!(attempts.reserve(bucket, Backoff::RULE, at(0)).map(|before| before.count), Ok(count));
        }
        assert_eq!(attempts.reserve(bucket, Backoff::RULE, at(0)), Err(AttemptCount { count: 5, last: Some(at(0)) }));
        assert_eq!(attempts.reserve(bucket, Backoff::RULE, at(1)).map(|before| before.count), Ok(5));
        assert_eq!(attempts.reserve(bucket, Backoff::RULE, at(2)), Err(AttemptCount { count: 6, last: Some(at(1)) }));
        attempts.clear(bucket, at(2));
        assert_eq!(attempts.reserve(bucket, Backoff::RULE, at(2)), Ok(AttemptCount::default()));
    }

    #[test]
    fn what_is_given_back_was_never_counted() {
        let (attempts, bucket) = (LocalAttempts::new(memory), key().account("a"));
        fail(&attempts, bucket, 6);
        let before = attempts.reserve(bucket, Backoff::RULE, at(2)).unwrap();
        attempts.give_back(bucket, before, at(2));
        assert_eq!(attempts.reserve(bucket, Backoff::RULE, at(2)), Ok(before));
        // Another attempt began meanwhile: its time stays.
        attempts.give_back(bucket, AttemptCount { count: 3, last: Some(at(0)) }, at(2));
        assert_eq!(attempts.reserve(bucket, Backoff::RULE, at(2)), Err(AttemptCount { count: 6, last: Some(at(2)) }));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let (attempts, bucket) = (LocalAttempts::new(memory), key().account("a"));
        fail(&attempts, bucket, 20);
        let days = ONE_FORGOTTEN.as_secs();
        assert_eq!(attempts.reserve(bucket, Backoff::RULE, at(20 * days - 1)).map(|before| before.count), Ok(20));
        assert_eq!(attempts.reserve(bucket, Backoff::RULE, at(41 * days)), Ok(AttemptCount::default()));
        assert_eq!(attempts.held(), 1);
    }

    /// A million with SESSIOND_TEST_SOAK.
    fn names() -> u32 {
        if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000_000 } else { 200_000 }
    }

    /// L-23.
    #[test]
    fn l_23_any_number_of_names_takes_no_more_room_and_washes_nobody_out_who_is_guessed_at() {
        let (attempts, key) = (LocalAttempts::new(memory), key());
        let victims: Vec<BucketId> = (0..100).map(|number| key.account(&format!("victim {number}"))).collect();
        for victim in &victims {
            fail(&attempts, *victim, 7);
        }
        for _ in 0..names() {
            let bucket = BucketId::of(random::bytes(&SystemRandom));
            assert!(attempts.reserve(bucket, Backoff::RULE, at(1)).is_ok());
        }
        println!("{} names: {} counters of {}", names(), attempts.held(), SETS * WAYS);
        assert!(attempts.held() <= SETS * WAYS);
        for victim in victims {
            assert!(attempts.reserve(victim, Backoff::RULE, at(1)).is_err(), "still throttled");
        }
    }
}
