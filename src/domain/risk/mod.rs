//! Risk: what is strange about where, when and with what somebody uses their sessions.
//!
//! Owns the operator's choices and what the rules look at. Must never do I/O: places and earlier sessions come in.

pub mod assessment;
pub mod judge;
pub mod rule;

use super::{Place, SessionId, Timestamp};

pub use assessment::{Assessment, KnownAlert, News, Signal};
pub use rule::{Rule, Weights};

/// What the operator wants of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiskPolicy {
    /// How much each rule weighs.
    pub weights: Weights,
    /// From which sum on there is an alert, at least one.
    pub threshold: u32,
    /// What is done then.
    pub action: RiskAction,
}

impl Default for RiskPolicy {
    fn default() -> Self {
        Self { weights: Weights::default(), threshold: 60, action: RiskAction::Alert }
    }
}

impl RiskPolicy {
    /// What is done about a finding beside telling: nothing, where it is only alarming by what anybody can bring about.
    pub fn action_on(&self, finding: &Assessment) -> RiskAction {
        if finding.risk_of_its_own() >= self.threshold { self.action } else { RiskAction::Alert }
    }

    /// Whether somebody is to be told.
    pub fn is_alarming(&self, finding: &Assessment) -> bool {
        !finding.is_empty() && finding.risk() >= self.threshold
    }
}

/// What is done when there is an alert that no stranger can bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RiskAction {
    /// Somebody is told.
    Alert,
    /// The same, and the sessions change nothing before their owner has proven who they are.
    StepUp,
    /// The same, and the sessions end.
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

/// A session that was somewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Which session.
    pub session: SessionId,
    /// Where.
    pub place: Place,
    /// When.
    pub at: Timestamp,
}

/// A sign-in that is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// The session that it makes.
    pub sighting: Sighting,
    /// The browser.
    pub browser: Option<String>,
    /// The system.
    pub os: Option<String>,
    /// How many wrong passwords came right before.
    pub failures: u32,
    /// Whether the browser shows that its owner has signed in on it before.
    pub familiar: bool,
}

/// An earlier session, ended or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Which.
    pub session: SessionId,
    /// Where it was signed in.
    pub signed_in: Place,
    /// Where it was last used, and when.
    pub last: Sighting,
    /// The browser.
    pub browser: Option<String>,
    /// The system.
    pub os: Option<String>,
}

impl Past {
    /// Its sign-in: an id begins with the moment when it was made.
    fn sign_in(&self) -> Sighting {
        Sighting { session: self.session, place: self.signed_in.clone(), at: self.session.made_at() }
    }

    /// Where it is known to have been, and when: last, and when it was signed in.
    fn sightings(&self) -> [Sighting; 2] {
        [self.last.clone(), self.sign_in()]
    }
}
