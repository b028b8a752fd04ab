//! Risk: what is unusual about where, when and with which device a user's sessions are used.
//!
//! Owns the operator's policy and the inputs of the rules. Must never do I/O: its caller passes places and sessions.

pub mod assessment;
pub mod judge;
pub mod rule;

use super::{Place, SessionId, Timestamp};

pub use assessment::{Assessment, KnownAlert, News, Signal};
pub use rule::{Rule, Weights};

/// The operator's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiskPolicy {
    /// The weight of each rule.
    pub weights: Weights,
    /// The sum from which an alert is opened; at least one.
    pub threshold: u32,
    /// The action on an alert.
    pub action: RiskAction,
}

impl Default for RiskPolicy {
    fn default() -> Self {
        Self { weights: Weights::default(), threshold: 60, action: RiskAction::Alert }
    }
}

impl RiskPolicy {
    /// The action on an assessment. Only an alert if the sum reaches the threshold through signals that a stranger can
    /// cause.
    pub fn action_on(&self, finding: &Assessment) -> RiskAction {
        if finding.risk_of_its_own() >= self.threshold { self.action } else { RiskAction::Alert }
    }

    /// Whether an alert is to be opened.
    pub fn is_alarming(&self, finding: &Assessment) -> bool {
        !finding.is_empty() && finding.risk() >= self.threshold
    }
}

/// The action on an alert that no stranger can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RiskAction {
    /// Opens the alert only.
    Alert,
    /// Also blocks changes in the sessions until their owner has proven their identity.
    StepUp,
    /// Also ends the sessions.
    Revoke,
}

impl RiskAction {
    /// Its name in settings and alerts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::StepUp => "step_up",
            Self::Revoke => "revoke",
        }
    }
}

/// A use of a session at a place and time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// The session.
    pub session: SessionId,
    /// The place.
    pub place: Place,
    /// The time.
    pub at: Timestamp,
}

/// A sign-in to be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// The new session.
    pub sighting: Sighting,
    /// The browser.
    pub browser: Option<String>,
    /// The system.
    pub os: Option<String>,
    /// Wrong passwords right before it.
    pub failures: u32,
    /// Whether the browser presents a device cookie of an earlier sign-in.
    pub familiar: bool,
}

/// An earlier session, ended or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The session.
    pub session: SessionId,
    /// The place of its sign-in.
    pub signed_in: Place,
    /// The place and time of its last use.
    pub last: Sighting,
    /// The browser.
    pub browser: Option<String>,
    /// The system.
    pub os: Option<String>,
}

impl Past {
    /// Its sign-in; the session's id contains the time.
    fn sign_in(&self) -> Sighting {
        Sighting { session: self.session, place: self.signed_in.clone(), at: self.session.made_at() }
    }

    /// Its known places and times: the last use and the sign-in.
    fn sightings(&self) -> [Sighting; 2] {
        [self.last.clone(), self.sign_in()]
    }
}
