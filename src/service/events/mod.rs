//! Events: tells open pages at once, and the webhook's receiver in its own order, what happens.
//!
//! Pages take three steps. A use case gives a **hint**, which is only a session's id ([`spread`]). The [`hub`] collects
//! the hints for watched sessions. One background task reads the ledger, and fills the [`mailbox`] of each stream. So a
//! lost, doubled or forged hint does no harm: every session is looked up again within ten seconds, and a stream only
//! sends what the ledger says. Must never delay the cause of an event.

pub(in crate::service) mod hub;
pub(in crate::service) mod mailbox;
pub(in crate::service) mod pending;
pub(in crate::service) mod registry;
pub(in crate::service) mod spread;
pub(in crate::service) mod trial;
pub(in crate::service) mod watch;
pub(in crate::service) mod webhook;

use std::sync::Arc;

use hub::Hub;

use crate::service::core::Core;

/// Streams and webhook messages.
#[derive(Clone)]
pub struct Events {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) hub: Arc<Hub>,
}
