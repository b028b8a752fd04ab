//! The result of the rules: signals, and the sessions that they are about.
//!
//! Owns [`Assessment`], and whether it is news compared with the existing alerts.

use serde::{Deserialize, Serialize};

use super::rule::Rule;
use crate::domain::{SessionId, Timestamp};

/// Most reasons in one alert, so that an ongoing alert stops growing.
const MAX_SIGNALS: usize = 20;
/// Most sessions that one alert names.
const MAX_SESSIONS: usize = 200;

/// A rule that found something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The rule.
    pub rule: Rule,
    /// Its weight at that time.
    pub weight: u32,
    /// The reason in words.
    pub reason: String,
    /// The sessions that it was found in; a session named only as an earlier one is not among them.
    #[serde(default)]
    pub about: Vec<SessionId>,
}

impl Signal {
    /// Whether both are the same reason, for any session. The words count if they name places and nothing that changes.
    fn is_same_as(&self, other: &Self) -> bool {
        self.rule == other.rule && (!self.rule.names_places() || self.reason == other.reason)
    }

    /// Whether an alert gives this reason for this session.
    fn is_told_of<T: KnownAlert>(&self, session: SessionId, alert: &T) -> bool {
        alert.signals().iter().any(|told| self.is_same_as(told) && told.about.contains(&session))
    }

    fn add(&mut self, sessions: &[SessionId]) {
        let left = MAX_SESSIONS.saturating_sub(self.about.len());
        let new: Vec<_> = sessions.iter().filter(|session| !self.about.contains(session)).take(left).copied().collect();
        self.about.extend(new);
    }
}

/// The assessment of one user at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// The rules that found something.
    pub signals: Vec<Signal>,
    /// All sessions that it is about.
    pub sessions: Vec<SessionId>,
    /// The sessions that identify this assessment: the judged session, and the oldest one of each country.
    pub core: Vec<SessionId>,
    /// The live sessions that the policy's action applies to.
    pub concerned: Vec<SessionId>,
    /// The session whose sign-in or move was judged; none when the live sessions were judged as they are.
    pub judged: Option<SessionId>,
}

/// How an assessment compares with the existing alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News<T> {
    /// An alert already reports it.
    Known,
    /// It belongs to this open alert and adds to it.
    More(T),
    /// No alert reports it.
    New,
}

/// The parts of an alert that an assessment is compared with.
pub trait KnownAlert {
    /// The reasons it was opened for.
    fn signals(&self) -> &[Signal];
    /// The sessions that it names.
    fn sessions(&self) -> &[SessionId];
    /// When it was acknowledged, if it was.
    fn acknowledged_at(&self) -> Option<Timestamp>;
}

impl Assessment {
    /// The sum of all weights.
    pub fn risk(&self) -> u32 {
        self.signals.iter().fold(0, |sum, signal| sum.saturating_add(signal.weight))
    }

    /// The same without signals that a stranger can cause who knows only an e-mail address.
    pub fn risk_of_its_own(&self) -> u32 {
        let own = self.signals.iter().filter(|signal| !signal.rule.is_anybodys());
        own.fold(0, |sum, signal| sum.saturating_add(signal.weight))
    }

    /// Whether the rules found nothing.
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }

    /// Adds a rule that found something; a rule with weight 0 is switched off.
    pub(super) fn add(&mut self, rule: Rule, weight: u32, reason: String) {
        if weight > 0 {
            self.signals.push(Signal { rule, weight, reason, about: Vec::new() });
        }
    }

    /// Compares it with the user's alerts. The same reasons for the same sessions are known. Further sessions for the
    /// same reasons, or further places of the same sessions, add to an open alert. Another place of other sessions is new;
    /// so is anything after the alert was acknowledged, except the same countries with sessions that were live then.
    pub fn news<'a, T: KnownAlert>(&self, alerts: &'a [T]) -> News<&'a T> {
        if alerts.iter().any(|alert| self.signals.iter().all(|found| self.is_told_of_core(found, alert))) {
            return News::Known;
        }
        let names_some = |alert: &T| self.core.iter().any(|session| alert.sessions().contains(session));
        let belongs = |alert: &&T| {
            alert.acknowledged_at().is_none()
                && self.has_rules_of(*alert)
                && (self.is_told_by(*alert) || names_some(alert))
        };
        alerts.iter().find(belongs).map_or(News::New, News::More)
    }

    /// Whether an alert gives all these reasons, for any sessions.
    pub(super) fn is_told_by<T: KnownAlert>(&self, alert: &T) -> bool {
        self.signals.iter().all(|found| alert.signals().iter().any(|told| found.is_same_as(told)))
    }

    /// Whether an alert gives this reason for each core session that it was found in.
    fn is_told_of_core<T: KnownAlert>(&self, found: &Signal, alert: &T) -> bool {
        let mut core = found.about.iter().filter(|session| self.core.contains(session)).peekable();
        core.peek().is_some()
            && core.all(|session| found.is_told_of(*session, alert) || self.was_seen(found, *session, alert))
    }

    /// Whether an acknowledged alert gives this reason, and the session was live at that moment and has not moved: which
    /// of a country's sessions is the oldest, and stands for it, changes as sessions end or move.
    fn was_seen<T: KnownAlert>(&self, found: &Signal, session: SessionId, alert: &T) -> bool {
        found.rule == Rule::SeveralCountries
            && self.judged != Some(session)
            && alert.acknowledged_at().is_some_and(|acknowledged| session.made_at() <= acknowledged)
            && alert.signals().iter().any(|told| found.is_same_as(told))
    }

    /// The live sessions with a reason that the alert does not give: the action has yet to be applied to them.
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

    /// Removes duplicate sessions and sorts them by sign-in.
    pub(super) fn tidy(mut self) -> Self {
        for sessions in [&mut self.sessions, &mut self.core, &mut self.concerned] {
            sessions.sort_unstable();
            sessions.dedup();
        }
        self
    }
}
