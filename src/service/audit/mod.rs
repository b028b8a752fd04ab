//! Audit: what happened, for whoever is asked afterwards.
//!
//! Owns the lines of the audit log and the limit on what strangers can have written into it. Must never decide anything.

pub(in crate::service) mod entry;
pub(in crate::service) mod read;
pub(in crate::service) mod refusal_counters;
pub(in crate::service) mod security_log;

use std::sync::Arc;

use refusal_counters::RefusalCounters;

use crate::service::core::Core;

/// The audit log, written and read.
#[derive(Clone)]
pub struct Audit {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) refusals: Arc<RefusalCounters>,
}
