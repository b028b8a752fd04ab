//! Readiness report: what a probe reads about a node, and the last report.
//!
//! Owns the types. Must never report a node as ready that would answer 503 to everything.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::service::core::log_on_change::LogOnChange;

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether to send requests here: whether this node can authenticate them. The fields below report other failures.
    pub ready: bool,
    /// Whether the ledger answers. While it does not, checks may continue from Redis and everything else is 503.
    /// `outdated` when an older copy was put back: see `sessiond ledger restored`.
    pub ledger: Condition,
    /// Whether Redis answers; `unused` when there is none.
    pub redis: Condition,
    /// Whether this node's clock agrees with the ledger's to two seconds; while it does not, everything else is 503,
    /// too.
    pub clock: Condition,
    /// Whether the shared settings match those of the other nodes. `failing` when a node with other settings took this
    /// node's place while it stood still: until that node is gone, everything is 503.
    pub settings: Condition,
}

/// The condition of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It works.
    Ok,
    /// It does not.
    Failing,
    /// It is older than a state that was seen before.
    Outdated,
    /// Its condition is unknown.
    Unknown,
    /// It is absent and not needed.
    Unused,
}

/// The last report and its time; a caller holds the lock until the report is there.
#[derive(Default)]
pub(in crate::service) struct Probe {
    pub(in crate::service) told: Option<(Duration, Readiness)>,
    pub(in crate::service) log_on_change: LogOnChange,
}
