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
    /// Whether to send requests to this node: whether it can authenticate them. The other fields show each part.
    pub ready: bool,
    /// Whether the ledger answers. If not, checks may continue from Redis, and everything else answers 503. `outdated`
    /// if the ledger was replaced by an older copy: see `sessiond ledger restored`.
    pub ledger: Condition,
    /// Whether Redis answers; `unused` when there is none.
    pub redis: Condition,
    /// Whether this node's clock and the ledger's differ by at most two seconds. If not, every request that reads or
    /// writes a session answers 503.
    pub clock: Condition,
    /// Whether the shared settings match those of the other nodes. `failing` if a node with other settings replaced
    /// this node while it was paused: everything answers 503 until that node is gone.
    pub settings: Condition,
    /// Whether this node holds its lease on the database. Without it, the node answers nothing from the database, or, with
    /// `SESSIOND_NEAR_CACHE`, nothing from its copies. `unused` if it needs none: SQLite, and no copies.
    pub lease: Condition,
}

/// The condition of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It works.
    Ok,
    /// It fails.
    Failing,
    /// It is older than a state seen before.
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
