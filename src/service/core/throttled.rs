//! Too many: by which rule, and how long to wait.
//!
//! Owns the words in which every limit refuses. Must never tell more than how much and how long.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::throttle::{Backoff, LONGEST_WAIT, Permit, Window};

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
pub(in crate::service) enum ThrottledBy {
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
    pub(in crate::service) fn account(refusal: Permit) -> Self {
        let quota = Quota { name: ACCOUNT, limit: Backoff::RULE.free, window: LONGEST_WAIT };
        let (retry_after, stopped) = match refusal {
            Permit::Wait(wait) => (wait, false),
            Permit::Go | Permit::Stopped => (LONGEST_WAIT, true),
        };
        Self { quota, retry_after, stopped }
    }

    /// Whether it was the account's wrong passwords that were too many.
    pub(in crate::service) fn is_of_account(&self) -> bool {
        self.quota.name == ACCOUNT
    }

    pub(in crate::service) fn address(window: Window, now: Timestamp) -> Self {
        let quota = Quota { name: "address", limit: window.limit, window: window.length };
        Self { quota, retry_after: window.rest(now), stopped: false }
    }
}
