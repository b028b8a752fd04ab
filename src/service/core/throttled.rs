//! Throttled: which limit was reached, and how long to wait.
//!
//! Owns the refusal of every limit. Must never tell more than the limit and the wait.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::throttle::{Backoff, LONGEST_WAIT, Permit, Window};

const ACCOUNT: &str = "account";

/// The limit that was reached, with the names of the RateLimit fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The limit's name.
    pub name: &'static str,
    /// How many it allows at once.
    pub limit: u32,
    /// The window of time.
    pub window: Duration,
}

/// Whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum ThrottledBy {
    /// The account's.
    Account,
    /// The address'.
    Address,
}

/// Too many attempts were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts")]
pub struct Throttled {
    /// The limit.
    pub quota: Quota,
    /// How long to wait before the next attempt.
    pub retry_after: Duration,
    /// Whether waiting does not help: only a sign-in on a known device does, or a new password.
    pub stopped: bool,
}

impl Throttled {
    /// Refused by the rule for accounts.
    pub(in crate::service) fn account(refusal: Permit) -> Self {
        let quota = Quota { name: ACCOUNT, limit: Backoff::RULE.free, window: LONGEST_WAIT };
        let (retry_after, stopped) = match refusal {
            Permit::Wait(wait) => (wait, false),
            Permit::Go | Permit::Stopped => (LONGEST_WAIT, true),
        };
        Self { quota, retry_after, stopped }
    }

    /// Whether the limit is the account's.
    pub(in crate::service) fn is_of_account(&self) -> bool {
        self.quota.name == ACCOUNT
    }

    pub(in crate::service) fn address(window: Window, now: Timestamp) -> Self {
        let quota = Quota { name: "address", limit: window.limit, window: window.length };
        Self { quota, retry_after: window.rest(now), stopped: false }
    }
}
