//! Jobs: the background tasks of a serving node.
//!
//! Owns the tasks. Each waits, works and waits again, in bounded portions. Must never delay a request, and one failure
//! must never end a task.

pub(in crate::service) mod background;
pub(in crate::service) mod circuit_breaker;
pub(in crate::service) mod deliver;
pub(in crate::service) mod retention;
pub(in crate::service) mod risk_watch;
pub(in crate::service) mod tell_streams;

use std::sync::Arc;

use crate::service::audit::Audit;
use crate::service::check::Check;
use crate::service::core::Core;
use crate::service::events::Events;
use crate::service::fence::Fence;
use crate::service::risk::Risk;
use crate::service::sessions::Sessions;
use crate::service::users::Users;

/// The background tasks.
#[derive(Clone)]
pub struct Jobs {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) audit: Arc<Audit>,
    pub(in crate::service) events: Arc<Events>,
    pub(in crate::service) fence: Arc<Fence>,
    pub(in crate::service) sessions: Arc<Sessions>,
    pub(in crate::service) risk: Arc<Risk>,
    pub(in crate::service) check: Arc<Check>,
    pub(in crate::service) users: Arc<Users>,
}
