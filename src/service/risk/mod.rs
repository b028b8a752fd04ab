//! Risk: detects suspicious sessions, and reacts.
//!
//! Owns alerts, and the use of sessions from new addresses. The rules are in [`crate::domain::risk`]. Must never block
//! a sign-in because something could not be judged.

pub(in crate::service) mod address_changes;
pub(in crate::service) mod alerts;
pub(in crate::service) mod judge;

use std::sync::Arc;

use address_changes::AddressChanges;

use crate::service::audit::Audit;
use crate::service::core::Core;
use crate::service::events::Events;
use crate::service::sessions::Sessions;

/// Alerts and their causes.
#[derive(Clone)]
pub struct Risk {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) audit: Arc<Audit>,
    pub(in crate::service) events: Arc<Events>,
    pub(in crate::service) sessions: Arc<Sessions>,
    pub(in crate::service) address_changes: Arc<AddressChanges>,
}
