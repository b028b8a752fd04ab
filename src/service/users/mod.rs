//! Users: create, show, change and delete accounts.
//!
//! Owns what users do to their own account, and administrators to others'. Must never leave a session alive that was
//! issued before a password, a role or a lock changed.

pub(in crate::service) mod account;
pub(in crate::service) mod admin;
pub(in crate::service) mod delete;
pub(in crate::service) mod directory;
pub(in crate::service) mod ensure;
pub(in crate::service) mod import;
pub(in crate::service) mod register;
pub(in crate::service) mod reset;

use std::sync::Arc;

use crate::service::audit::Audit;
use crate::service::core::Core;
use crate::service::events::Events;
use crate::service::fence::Fence;
use crate::service::sessions::Sessions;
use crate::service::sign_in::SignIns;

/// Accounts.
#[derive(Clone)]
pub struct Users {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) audit: Arc<Audit>,
    pub(in crate::service) events: Arc<Events>,
    pub(in crate::service) fence: Arc<Fence>,
    pub(in crate::service) sessions: Arc<Sessions>,
    pub(in crate::service) sign_in: Arc<SignIns>,
}
