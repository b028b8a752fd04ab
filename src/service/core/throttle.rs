//! The throttle of one node: its counters, and the key that names them.
//!
//! Owns [`Throttle`]. What is counted when, and what becomes of it, is for those who count. Must never grow with the number of
//! those who are counted.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::ThrottleKey;
use crate::domain::throttle::{DAY, TEN_MINUTES, memory};
use crate::live::LiveError;
use crate::service::core::alarm::Alarm;
use crate::service::core::local_attempts::LocalAttempts;

/// What the throttle of a node needs.
pub(in crate::service) struct Throttle {
    pub(in crate::service) key: ThrottleKey,
    pub(in crate::service) accounts: LocalAttempts,
    /// What is counted in spans of ten minutes, and of a day.
    pub(in crate::service) spans: LocalAttempts,
    pub(in crate::service) days: LocalAttempts,
    /// Of all that fails on this node.
    pub(in crate::service) alarm: Alarm,
    /// Whether the log says that Redis refuses to count.
    muted: AtomicBool,
}

impl Throttle {
    pub(in crate::service) fn new(key: ThrottleKey) -> Self {
        Self {
            key,
            accounts: LocalAttempts::new(memory),
            spans: LocalAttempts::new(|_| TEN_MINUTES),
            days: LocalAttempts::new(|_| DAY),
            alarm: Alarm::default(),
            muted: AtomicBool::default(),
        }
    }

    /// Redis did not count. What is behind it is said once by whoever keeps the connection, but for a missing right.
    pub(in crate::service) fn goes_alone(&self, error: &LiveError) {
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
