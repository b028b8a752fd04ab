//! What the rules found: signals, and the sessions that they are about.
//!
//! Owns [`Assessment`] and the question whether it is news beside the alerts that there are.

use serde::{Deserialize, Serialize};

use super::rule::Rule;
use crate::domain::SessionId;

/// Most reasons in one alert: a matter that goes on does not grow for ever.
const MAX_SIGNALS: usize = 20;
/// Most sessions that one alert names.
const MAX_SESSIONS: usize = 200;

/// One rule that found something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Which.
    pub rule: Rule,
    /// What it weighed then.
    pub weight: u32,
    /// Why, in words.
    pub reason: String,
    /// The sessions that it was found of: one that is named because it was there before is not among them.
    #[serde(default)]
    pub about: Vec<SessionId>,
}

impl Signal {
    /// Whether it is the same reason, of whichever sessions: the words count where they name places and nothing that changes.
    fn is_same_as(&self, other: &Self) -> bool {
        self.rule == other.rule && (!self.rule.names_places() || self.reason == other.reason)
    }

    /// Whether an alert gives this reason of this session.
    fn is_told_of<T: KnownAlert>(&self, session: SessionId, alert: &T) -> bool {
        alert.signals().iter().any(|told| self.is_same_as(told) && told.about.contains(&session))
    }

    fn add(&mut self, sessions: &[SessionId]) {
        let left = MAX_SESSIONS.saturating_sub(self.about.len());
        let new: Vec<_> = sessions.iter().filter(|session| !self.about.contains(session)).take(left).copied().collect();
        self.about.extend(new);
    }
}

/// What was found about one user, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// The rules that found something.
    pub signals: Vec<Signal>,
    /// All sessions that it is about.
    pub sessions: Vec<SessionId>,
    /// Those that make it this finding and no other: the session that was judged, and the oldest one of each country.
    pub core: Vec<SessionId>,
    /// The live ones that something is done about.
    pub concerned: Vec<SessionId>,
}

/// What a finding is beside the alerts that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News<T> {
    /// Somebody was told already.
    Known,
    /// It belongs to this open alert, and adds to it.
    More(T),
    /// Nobody was told.
    New,
}

/// An alert, as far as a finding is compared with it.
pub trait KnownAlert {
    /// Whether nobody has acknowledged it.
    fn is_open(&self) -> bool;
    /// Why it was opened.
    fn signals(&self) -> &[Signal];
    /// The sessions that it names.
    fn sessions(&self) -> &[SessionId];
}

impl Assessment {
    /// The weight of it all.
    pub fn risk(&self) -> u32 {
        self.signals.iter().fold(0, |sum, signal| sum.saturating_add(signal.weight))
    }

    /// The same without what anybody can bring about who knows nothing but an address.
    pub fn risk_of_its_own(&self) -> u32 {
        let own = self.signals.iter().filter(|signal| !signal.rule.is_anybodys());
        own.fold(0, |sum, signal| sum.saturating_add(signal.weight))
    }

    /// Whether there is anything.
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }

    /// Adds a rule that found something; one of no weight is switched off.
    pub(super) fn add(&mut self, rule: Rule, weight: u32, reason: String) {
        if weight > 0 {
            self.signals.push(Signal { rule, weight, reason, about: Vec::new() });
        }
    }

    /// Compares it with the user's alerts. The same reasons found of the same sessions are told; more of a matter that is open
    /// is added to it: further sessions for the same reasons, or further places of the same sessions. Another place of other
    /// sessions, or after the alert was acknowledged, is another matter.
    pub fn news<'a, T: KnownAlert>(&self, alerts: &'a [T]) -> News<&'a T> {
        if alerts.iter().any(|alert| self.signals.iter().all(|found| self.is_told_of_core(found, alert))) {
            return News::Known;
        }
        let names_some = |alert: &T| self.core.iter().any(|session| alert.sessions().contains(session));
        let belongs =
            |alert: &&T| alert.is_open() && self.has_rules_of(*alert) && (self.is_told_by(*alert) || names_some(alert));
        alerts.iter().find(belongs).map_or(News::New, News::More)
    }

    /// Whether an alert gives all these reasons, of whichever sessions.
    pub(super) fn is_told_by<T: KnownAlert>(&self, alert: &T) -> bool {
        self.signals.iter().all(|found| alert.signals().iter().any(|told| found.is_same_as(told)))
    }

    /// Whether an alert gives this reason of those of its sessions that make it this finding.
    fn is_told_of_core<T: KnownAlert>(&self, found: &Signal, alert: &T) -> bool {
        let mut core = found.about.iter().filter(|session| self.core.contains(session)).peekable();
        core.peek().is_some() && core.all(|session| found.is_told_of(*session, alert))
    }

    /// The live sessions of which an alert does not give all reasons: those that something is yet to be done about.
    pub fn concerned_beside<T: KnownAlert>(&self, alert: &T) -> Vec<SessionId> {
        let is_news = |session: &SessionId| {
            let mut reasons = self.signals.iter().filter(|found| found.about.contains(session));
            reasons.any(|found| !found.is_told_of(*session, alert))
        };
        self.concerned.iter().filter(|session| is_news(session)).copied().collect()
    }

    fn has_rules_of<T: KnownAlert>(&self, alert: &T) -> bool {
        self.signals.iter().all(|found| alert.signals().iter().any(|told| told.rule == found.rule))
    }

    /// An alert's reasons together with these.
    pub fn signals_after(&self, told: &[Signal]) -> Vec<Signal> {
        let mut all = told.to_vec();
        for found in &self.signals {
            let is_same_text = |known: &Signal| found.is_same_as(known) && known.reason == found.reason;
            if let Some(known) = all.iter_mut().find(|known| is_same_text(known)) {
                known.add(&found.about);
            } else if all.len() < MAX_SIGNALS {
                all.push(found.clone());
            } else if let Some(known) = all.iter_mut().find(|known| found.is_same_as(known)) {
                known.add(&found.about);
            }
        }
        all
    }

    /// The sessions that an alert does not name yet.
    pub fn sessions_after(&self, told: &[SessionId]) -> Vec<SessionId> {
        let left = MAX_SESSIONS.saturating_sub(told.len());
        self.sessions.iter().filter(|session| !told.contains(session)).take(left).copied().collect()
    }

    /// Leaves each session once, in the order of their sign-ins.
    pub(super) fn tidy(mut self) -> Self {
        for sessions in [&mut self.sessions, &mut self.core, &mut self.concerned] {
            sessions.sort_unstable();
            sessions.dedup();
        }
        self
    }
}
