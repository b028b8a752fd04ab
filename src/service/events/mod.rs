//! Events: others are told what happens, open pages at once, the webhook's receiver in the order of its own.
//!
//! Three steps for pages. Whoever changes something gives a **hint**, which is nothing but a session's id ([`spread`]). The
//! [`hub`] gathers hints for those who watch. One background task looks in the ledger what is true, and puts it into the
//! [`mailbox`] of each stream. So a hint that is lost, doubled or forged does no harm: everything is looked at again within
//! ten seconds, and nobody is told but what the ledger says. Must never be waited for by whoever caused the event.

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

/// What others are told.
#[derive(Clone)]
pub struct Events {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) hub: Arc<Hub>,
}
