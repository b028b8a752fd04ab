//! The throttle of one node: its counters, the key that names them, and the words in which it refuses.
//!
//! Owns [`Throttle`] and [`Throttled`]. What is counted when, and what becomes of it, is in [`super::attempt`]. Must never
//! tell more than how much and how long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::alarm::Alarm;
use super::tallies::Tallies;
use crate::domain::throttle::{Backoff, DAY, LONGEST_WAIT, Permit, TEN_MINUTES, Window, memory};
use crate::domain::{ThrottleKey, Timestamp};
use crate::live::LiveError;

const ACCOUNT: &str = "account";

/// What was exhausted, in the words of the RateLimit fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Its name.
    pub name: &'static str,
    /// How many it allows at once.
    pub limit: u32,
    /// In which time.
    pub window: Duration,
}

/// Whose limit it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThrottledBy {
    /// An account's.
    Account,
    /// An address'.
    Address,
}

/// Too many attempts were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts")]
pub struct Throttled {
    /// By which rule.
    pub quota: Quota,
    /// How long it will be before the next one may be made.
    pub retry_after: Duration,
    /// Whether waiting does not help: only a sign-in on a known device does, or a new password.
    pub stopped: bool,
}

impl Throttled {
    /// By the rule of accounts.
    pub(super) fn account(refusal: Permit) -> Self {
        let quota = Quota { name: ACCOUNT, limit: Backoff::RULE.free, window: LONGEST_WAIT };
        let (retry_after, stopped) = match refusal {
            Permit::Wait(wait) => (wait, false),
            Permit::Go | Permit::Stopped => (LONGEST_WAIT, true),
        };
        Self { quota, retry_after, stopped }
    }

    /// Whether it was the account's wrong passwords that were too many.
    pub(super) fn is_of_account(&self) -> bool {
        self.quota.name == ACCOUNT
    }

    pub(super) fn address(window: Window, now: Timestamp) -> Self {
        let quota = Quota { name: "address", limit: window.limit, window: window.length };
        Self { quota, retry_after: window.rest(now), stopped: false }
    }
}

/// What the throttle of a node needs.
pub(super) struct Throttle {
    pub(super) key: ThrottleKey,
    pub(super) accounts: Tallies,
    /// What is counted in spans of ten minutes, and of a day.
    pub(super) spans: Tallies,
    pub(super) days: Tallies,
    /// Of all that fails on this node.
    pub(super) alarm: Alarm,
    /// Whether the log says that Redis refuses to count.
    muted: AtomicBool,
}

impl Throttle {
    pub(super) fn new(key: ThrottleKey) -> Self {
        Self {
            key,
            accounts: Tallies::new(memory),
            spans: Tallies::new(|_| TEN_MINUTES),
            days: Tallies::new(|_| DAY),
            alarm: Alarm::default(),
            muted: AtomicBool::default(),
        }
    }

    /// Redis did not count. What is behind it is said once by whoever keeps the connection, but for a missing right.
    pub(super) fn goes_alone(&self, error: &LiveError) {
        if matches!(error, LiveError::Refused(code) if code == "NOPERM") && !self.muted.swap(true, Ordering::SeqCst) {
            log::warn!(
                "attempts to sign in are counted by this node alone: grant Redis' user ~PREFIXattempts:* +hgetall \
                +hsetnx +hdel +incrby +pexpire"
            );
        } else {
            log::debug!("attempts to sign in are counted by this node alone: {error}");
        }
    }
}
