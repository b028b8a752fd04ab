//! Core: what every room of the service needs.
//!
//! Owns the stores, the clock, the randomness, the operator's rules, and what this node knows of sessions before the
//! ledger does. Must never know a use case.

pub(in crate::service) mod admin_views;
pub(in crate::service) mod alarm;
pub(in crate::service) mod audit_context;
pub(in crate::service) mod authority;
pub(in crate::service) mod checked;
pub(in crate::service) mod denied;
pub(in crate::service) mod file_identity;
pub(in crate::service) mod last_seen_buffer;
pub(in crate::service) mod last_use;
pub(in crate::service) mod local_attempts;
pub(in crate::service) mod location;
pub(in crate::service) mod lock;
pub(in crate::service) mod log_on_change;
pub(in crate::service) mod page;
pub(in crate::service) mod policy;
pub(in crate::service) mod spans;
pub(in crate::service) mod start_error;
pub(in crate::service) mod throttle;
pub(in crate::service) mod throttled;
pub(in crate::service) mod unavailable;
pub(in crate::service) mod views;
pub(in crate::service) mod webhook_client;
pub(in crate::service) mod write;

use std::sync::Arc;

use last_seen_buffer::LastSeenBuffer;
use location::Locator;
use policy::Policy;
use throttle::Throttle;
use uuid::Uuid;
use webhook_client::WebhookClient;

use crate::domain::{Clock, LedgerClock, PasswordRules, Random, Timestamp, random};
use crate::ledger::Ledger;
use crate::live::Live;

/// What every room of the service needs.
#[derive(Clone)]
pub struct Core {
    pub(in crate::service) ledger: Ledger,
    /// The records, over a connection of this thread.
    pub(in crate::service) live: Option<Live>,
    pub(in crate::service) clock: Arc<LedgerClock>,
    pub(in crate::service) random: Arc<dyn Random>,
    pub(in crate::service) policy: Arc<Policy>,
    pub(in crate::service) last_seen: Arc<LastSeenBuffer>,
    pub(in crate::service) locator: Option<Arc<Locator>>,
    pub(in crate::service) webhook_client: Option<Arc<WebhookClient>>,
    pub(in crate::service) throttle: Arc<Throttle>,
}

impl Core {
    /// The same with its own connection to Redis, for the thread that uses it.
    pub(in crate::service) fn for_worker(&self) -> Self {
        Self { live: self.live.as_ref().map(Live::for_worker), ..self.clone() }
    }

    /// The ledger, for tests and the command line.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The time for this service: that of the ledger's clock.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The rules for new passwords.
    pub fn password_rules(&self) -> &PasswordRules {
        &self.policy.password_rules
    }

    /// A new id, a UUIDv7 of the current time.
    pub fn new_id(&self) -> Uuid {
        self.line_id(self.clock().now())
    }

    /// A new id, a UUIDv7 of this moment.
    pub(in crate::service) fn line_id(&self, now: Timestamp) -> Uuid {
        let ms = u64::try_from(now.ms()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(ms, &random::bytes(self.random())).into_uuid()
    }

    /// The source of randomness.
    pub(in crate::service) fn random(&self) -> &dyn Random {
        self.random.as_ref()
    }
}
