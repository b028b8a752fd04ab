//! Near cache: answers yes from copies of records in this node's memory.
//!
//! Owns the copies, and the channel on which other nodes ask to drop them. A copy may only say yes, and only under this
//! node's running lease; everything else is a question to Redis and the ledger. A revocation is answered only after
//! every node with copies has dropped it, or its lease is over ([`crate::service::sessions`]). Must never keep a token,
//! and costs nothing while it is off.

pub(in crate::service) mod copies;
pub(in crate::service) mod counts;
pub(in crate::service) mod figures;
pub(in crate::service) mod hear;
pub(in crate::service) mod recall;

use std::sync::Arc;

use copies::Copies;
use counts::Counts;

use crate::service::core::Core;
use crate::service::fence::Fence;

/// The copies of this node, for one worker.
#[derive(Clone)]
pub struct NearCache {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) fence: Arc<Fence>,
    /// None: off.
    pub(in crate::service) copies: Option<Arc<Copies>>,
    /// What this worker answered.
    pub(in crate::service) counts: Arc<Counts>,
}
