//! Policy: the rules that the operator sets.
//!
//! Owns [`Policy`]. Must never read the environment: the configuration does.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AtLimit, OnDeviceChange, PasswordRules, Registration, RiskPolicy, Terms};

/// The rules that the operator sets.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How long a session lasts.
    pub terms: Terms,
    /// How long a session with "remember me" lasts.
    pub remember_terms: Terms,
    /// How long a session lasts in which somebody acts for the user.
    pub acting_terms: Terms,
    /// How old a last-seen time gets before it is written again.
    pub last_seen_resolution: Duration,
    /// How many live sessions a user may have.
    pub max_sessions: usize,
    /// What happens at the limit.
    pub at_limit: AtLimit,
    /// How many wrong passwords one address may send in ten minutes.
    pub sign_in_address_limit: u32,
    /// How old a recent proof of identity may be.
    pub step_up_age: Duration,
    /// What happens when another device shows a session.
    pub on_device_change: OnDeviceChange,
    /// Which sessions raise an alert, and what follows.
    pub risk: RiskPolicy,
    /// How many event streams may be open on this node.
    pub max_event_streams: usize,
    /// Whether anyone may create an account.
    pub registration: Registration,
    /// The rules for new passwords.
    pub password_rules: Arc<PasswordRules>,
    /// How long audit log lines are kept.
    pub audit_retention: Duration,
    /// How long session rows are kept after their absolute deadline.
    pub session_retention: Duration,
    /// How long a node trusts a stamp after it last read that the stamp is current.
    pub store_lease: Duration,
    /// How many copies of records this node keeps in its memory; zero: none.
    pub near_cache: usize,
}
