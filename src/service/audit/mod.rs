//! Audit: what happened, for later review.
//!
//! Owns the lines of the audit log, and the limit on lines that unauthenticated clients can cause. Must never decide
//! anything.

pub(in crate::service) mod entry;
pub(in crate::service) mod read;
pub(in crate::service) mod refusal_counters;
pub(in crate::service) mod security_log;

use std::sync::Arc;

use refusal_counters::RefusalCounters;

use crate::service::core::Core;

/// Writes and reads the audit log.
#[derive(Clone)]
pub struct Audit {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) refusals: Arc<RefusalCounters>,
}
