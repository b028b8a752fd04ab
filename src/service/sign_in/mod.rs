//! Sign-in: a user shows a password and gets a session, or a new token for one.
//!
//! Owns password hashing, the limits on attempts, and every new token. Must never answer with a token whose row is not
//! committed.

pub(in crate::service) mod attempt;
pub(in crate::service) mod decoys;
pub(in crate::service) mod exchange;
pub(in crate::service) mod exchange_rules;
pub(in crate::service) mod hash_new_password;
pub(in crate::service) mod hash_pool;
pub(in crate::service) mod identity;
pub(in crate::service) mod impersonate;
pub(in crate::service) mod issue;
pub(in crate::service) mod issue_to_subject;
pub(in crate::service) mod reauthenticate;
pub(in crate::service) mod revoked_tokens;
pub(in crate::service) mod session_data;
pub(in crate::service) mod session_limit;
pub(in crate::service) mod token_renewal;
pub(in crate::service) mod unknown_address;
pub(in crate::service) mod verify_current_password;

use std::sync::Arc;

use decoys::Decoys;
use exchange_rules::ExchangeRules;
use hash_pool::{HashPool, Hashing};

use crate::service::audit::Audit;
use crate::service::core::Core;
use crate::service::events::Events;
use crate::service::risk::Risk;
use crate::service::sessions::Sessions;

/// The sign-in use cases.
#[derive(Clone)]
pub struct SignIns {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) audit: Arc<Audit>,
    pub(in crate::service) events: Arc<Events>,
    pub(in crate::service) sessions: Arc<Sessions>,
    pub(in crate::service) risk: Arc<Risk>,
    /// What old tokens are exchanged, if any.
    pub(in crate::service) exchange: Option<Arc<ExchangeRules>>,
    pub(in crate::service) hash_pool: Arc<HashPool>,
    /// What is computed for unknown users.
    pub(in crate::service) decoys: Arc<Decoys>,
    /// Judges new passwords.
    pub(in crate::service) password_judge: Arc<HashPool>,
}

impl SignIns {
    /// The hash counts since the start.
    pub fn hashing(&self) -> Hashing {
        self.hash_pool.hashing()
    }
}
