//! What a probe is told of a node, and what was told last.
//!
//! Owns the shapes. Must never say that a node is ready which would answer 503 to everything.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::service::core::log_on_change::LogOnChange;

/// What a probe is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether requests should be sent here: whether this node can say who is signed in. What fails beside that is told below.
    pub ready: bool,
    /// Whether the ledger answers; while it does not, checks may go on by Redis, and all else is 503; `outdated` when it is an older copy that was put back: `sessiond ledger restored`.
    pub ledger: Condition,
    /// Whether Redis answers; `unused` when there is none.
    pub redis: Condition,
    /// Whether this node's clock agrees with the ledger's to two seconds; while it does not, all else is 503, too.
    pub clock: Condition,
    /// Whether this node is set to what the others are; `failing` when one that is set to something else took its place while it stood still: until that one is gone, all is 503.
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
    /// It is older than it was seen to be.
    Outdated,
    /// It cannot be told.
    Unknown,
    /// It is not there and need not be.
    Unused,
}

/// The last answer, and since when; whoever asks holds it until the answer is there.
#[derive(Default)]
pub(in crate::service) struct Probe {
    pub(in crate::service) told: Option<(Duration, Readiness)>,
    pub(in crate::service) log_on_change: LogOnChange,
}
