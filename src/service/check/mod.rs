//! Check: is this token a live session's? The hot path.
//!
//! Owns the order of the questions: copy, record, lease, ledger, record. Must never answer no on Redis' word, and never yes
//! on an answer that is older than the request.

pub(in crate::service) mod authenticate;
pub(in crate::service) mod device_change;
pub(in crate::service) mod devices;
pub(in crate::service) mod fill;
pub(in crate::service) mod probing;
pub(in crate::service) mod single_flight;
pub(in crate::service) mod touch;
pub(in crate::service) mod unknown_token;

use std::sync::Arc;

use devices::DealtWith;
use probing::Probing;
use single_flight::SingleFlight;

use crate::service::audit::Audit;
use crate::service::core::Core;
use crate::service::core::checked::Checked;
use crate::service::core::unavailable::Unavailable;
use crate::service::fence::Fence;
use crate::service::near_cache::NearCache;
use crate::service::risk::Risk;
use crate::service::sessions::Sessions;

/// The question that every request asks.
#[derive(Clone)]
pub struct Check {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) audit: Arc<Audit>,
    pub(in crate::service) fence: Arc<Fence>,
    pub(in crate::service) sessions: Arc<Sessions>,
    pub(in crate::service) risk: Arc<Risk>,
    pub(in crate::service) near_cache: Arc<NearCache>,
    pub(in crate::service) single_flight: Arc<SingleFlight<Answer>>,
    pub(in crate::service) device_changes: Arc<DealtWith>,
    pub(in crate::service) probing: Arc<Probing>,
}

/// The result of a fill: the same for all requests that joined it.
pub(in crate::service) type Answer = Result<Option<Checked>, Unavailable>;
