//! Sessions: list them, and end them by the one path of every revocation.
//!
//! Owns the order: end the rows in the ledger, delete the records, have the copies dropped, and only then report the end. Must never rely on an
//! earlier revocation.

pub(in crate::service) mod acknowledgements;
pub(in crate::service) mod end;
pub(in crate::service) mod find;
pub(in crate::service) mod holders;
pub(in crate::service) mod invalidate;
pub(in crate::service) mod lease_grace;
pub(in crate::service) mod own;
pub(in crate::service) mod restored;
pub(in crate::service) mod revoke;
pub(in crate::service) mod revoke_matching;

use std::sync::Arc;

use acknowledgements::Acknowledgements;
use lease_grace::LeaseGrace;

use crate::service::audit::Audit;
use crate::service::core::Core;
use crate::service::events::Events;
use crate::service::fence::Fence;

/// Lists and ends sessions.
#[derive(Clone)]
pub struct Sessions {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) audit: Arc<Audit>,
    pub(in crate::service) events: Arc<Events>,
    pub(in crate::service) fence: Arc<Fence>,
    pub(in crate::service) lease_grace: Arc<LeaseGrace>,
    pub(in crate::service) acknowledgements: Arc<Acknowledgements>,
}
