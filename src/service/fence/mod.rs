//! Fence: which Redis process, ledger and clock this node may trust, and for how long it may answer.
//!
//! Owns the doubts of this node, and refuses to answer while there is one. Must never trust what a store says about
//! itself.

pub(in crate::service) mod clock_watch;
pub(in crate::service) mod drop_marks;
pub(in crate::service) mod health;
pub(in crate::service) mod lease_renewal;
pub(in crate::service) mod lease_watch;
pub(in crate::service) mod membership;
pub(in crate::service) mod node_lease;
pub(in crate::service) mod nodes;
pub(in crate::service) mod readiness;
pub(in crate::service) mod rollback_check;
pub(in crate::service) mod rollback_detector;
pub(in crate::service) mod startup;
pub(in crate::service) mod store_fence;

use std::sync::Arc;

use lease_watch::LeaseWatch;
use membership::Membership;
use node_lease::NodeLease;
use readiness::Probe;
use rollback_detector::RollbackDetector;
use store_fence::StoreFence;

use crate::service::core::Core;

/// What this node trusts, and its membership among the other nodes.
#[derive(Clone)]
pub struct Fence {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) fence: Option<Arc<StoreFence>>,
    pub(in crate::service) detector: Arc<tokio::sync::Mutex<RollbackDetector>>,
    pub(in crate::service) membership: Arc<std::sync::OnceLock<Membership>>,
    pub(in crate::service) probe: Arc<tokio::sync::Mutex<Probe>>,
    /// This node's own lease, and what it sees of the others'.
    pub(in crate::service) node_lease: Arc<NodeLease>,
    pub(in crate::service) lease_watch: Arc<LeaseWatch>,
    /// Held by whoever reads the leases.
    pub(in crate::service) lease_turn: Arc<tokio::sync::Mutex<()>>,
}
