//! Throttle: the counters of one node, and the key that names them.
//!
//! Owns [`Throttle`]. The use cases decide what to count and when. Must never grow with the number of names counted.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::ThrottleKey;
use crate::domain::throttle::{DAY, TEN_MINUTES, memory};
use crate::live::LiveError;
use crate::service::core::alarm::Alarm;
use crate::service::core::local_attempts::LocalAttempts;

/// The state of a node's throttle.
pub(in crate::service) struct Throttle {
    pub(in crate::service) key: ThrottleKey,
    pub(in crate::service) accounts: LocalAttempts,
    /// Counts over spans of ten minutes, and of a day.
    pub(in crate::service) spans: LocalAttempts,
    pub(in crate::service) days: LocalAttempts,
    /// Counts all wrong passwords on this node.
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

    /// Redis did not count. The connection logs the cause once, except for a missing right, which is logged here.
    pub(in crate::service) fn goes_alone(&self, error: &LiveError) {
        if matches!(error, LiveError::Refused(code) if code == "NOPERM") && !self.muted.swap(true, Ordering::SeqCst) {
            log::warn!(
                "this node alone counts its sign-in attempts: grant Redis' user ~PREFIXattempts:* +hgetall \
                +hsetnx +hdel +incrby +pexpire"
            );
        } else {
            log::debug!("this node alone counts its sign-in attempts: {error}");
        }
    }
}
