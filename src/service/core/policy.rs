//! The rules that the operator sets.
//!
//! Owns [`Policy`] and its choices. Must never be read from the environment here: the configuration is.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{PasswordRules, RiskPolicy, Terms};

/// The rules that the operator sets.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How long a session lasts.
    pub terms: Terms,
    /// How long a session lasts whose owner asked to be remembered.
    pub remember_terms: Terms,
    /// How old a last-seen time gets before it is written again.
    pub last_seen_resolution: Duration,
    /// How many live sessions a user may have.
    pub max_sessions: usize,
    /// What happens at the limit.
    pub at_limit: AtLimit,
    /// How many wrong passwords may come from one address in ten minutes.
    pub sign_in_address_limit: u32,
    /// How old a proof of who somebody is may be, for what wants a recent one.
    pub step_up_age: Duration,
    /// What happens when a session is shown by another device.
    pub on_device_change: OnDeviceChange,
    /// What is strange about sessions, and what is done then.
    pub risk: RiskPolicy,
    /// How many streams of events may be open on this node.
    pub max_event_streams: usize,
    /// Whether anybody may make an account.
    pub registration_open: bool,
    /// Which passwords may be chosen.
    pub password_rules: Arc<PasswordRules>,
    /// How long lines of the audit log are kept.
    pub audit_retention: Duration,
    /// How long the rows of sessions are kept after their absolute deadline.
    pub session_retention: Duration,
    /// How long a node believes a stamp after it last read that it is current.
    pub store_lease: Duration,
}

/// What happens when a user with as many sessions as allowed signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLimit {
    /// The oldest session ends.
    EvictOldest,
    /// The sign-in is refused.
    Refuse,
}

/// What the operator wants when a session is shown by another device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeviceChange {
    /// A line in the audit log.
    Log,
    /// The same, and the session changes nothing before its owner has proven who they are.
    StepUp,
    /// The same, and the session ends.
    Revoke,
}
