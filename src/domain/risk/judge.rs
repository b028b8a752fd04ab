//! The rules themselves: what each one finds unusual, and why, in words.
//!
//! Owns the meaning of each rule. Pure functions of the facts about one user. The unknown is never unusual: without a
//! location file, or in its gaps, the rules about places find nothing. Must never reveal more about a person than an
//! administrator needs to decide.

use std::collections::BTreeSet;
use std::time::Duration;

use super::assessment::Assessment;
use super::rule::Rule;
use super::{Arrival, Past, RiskPolicy, Sighting};
use crate::domain::{Place, SessionId};

/// Countries at once that one person cannot be in.
const SEVERAL: usize = 3;
/// Wrong passwords before the right one that are suspicious: as many as are free of any wait.
const MANY_FAILURES: u32 = 5;
/// Faster than a passenger aircraft.
const TOP_KM_PER_HOUR: f64 = 1_000.0;
/// Tolerance for errors in location files and for networks whose exit is elsewhere.
const TOLERANCE_KM: f64 = 750.0;
/// More tolerance for a place without a city, which is the middle of its country.
const NO_CITY_KM: f64 = 1_500.0;
/// Most names that a reason lists.
const LISTED: usize = 5;

/// Live sessions in several countries.
struct Several {
    reason: String,
    sessions: Vec<SessionId>,
    /// The oldest session of each country.
    oldest: Vec<SessionId>,
}

impl RiskPolicy {
    /// Judges a sign-in against the user's earlier sessions and the live ones without the new one. The first sign-in of
    /// an account is never unusual.
    pub fn judge_arrival(&self, new: &Arrival, past: &[Past], live: &[Sighting]) -> Assessment {
        let mut found = Assessment::default();
        if past.is_empty() {
            return found;
        }
        self.judge_place(&mut found, &new.sighting, past);
        let before: Vec<_> = past.iter().flat_map(Past::sightings).chain(live.iter().cloned()).collect();
        self.judge_speed(&mut found, &new.sighting, &before);
        if new.failures >= MANY_FAILURES {
            let reason = format!("{} wrong passwords preceded the right one.", new.failures);
            self.note(&mut found, Rule::FailuresBeforeSuccess, reason);
        }
        let device = (&new.browser, &new.os);
        let is_known = device == (&None, &None) || past.iter().any(|past| (&past.browser, &past.os) == device);
        if !new.familiar && !is_known {
            let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
            let reason = format!("No earlier session was {} on {}.", word(&new.browser), word(&new.os));
            self.note(&mut found, Rule::NewDevice, reason);
        }
        let everywhere: Vec<_> = live.iter().chain([&new.sighting]).collect();
        // A further session in a country that already has one adds nothing.
        let several = several(&everywhere).filter(|several| several.oldest.contains(&new.sighting.session));
        self.add_several(&mut found, several);
        about(found, new.sighting.session)
    }

    /// Judges a live session that was used in another country or network than before. `past` may contain the session
    /// itself: the place of its sign-in is known.
    pub fn judge_move(&self, now: &Sighting, before: &Sighting, past: &[Past], live: &[Sighting]) -> Assessment {
        let mut found = Assessment::default();
        self.judge_place(&mut found, now, past);
        // Of the session itself the sign-in counts too: a use from an unlocated address in between hides no jump. Of
        // the other sessions it does not: a user who has proven their identity is not asked again because of an old
        // sign-in.
        let (own, others): (Vec<_>, Vec<_>) = past.iter().partition(|past| past.session == now.session);
        let own = own.into_iter().map(Past::sign_in);
        let others = others.into_iter().map(|past| past.last.clone());
        let earlier: Vec<_> = [before.clone()].into_iter().chain(own).chain(others).collect();
        self.judge_speed(&mut found, now, &earlier);
        let others = live.iter().filter(|other| other.session != now.session);
        let everywhere: Vec<_> = others.chain([now]).collect();
        self.add_several(&mut found, several(&everywhere));
        about(found, now.session)
    }

    /// Judges a user's live sessions as they are.
    pub fn judge_live(&self, live: &[Sighting]) -> Assessment {
        let mut found = Assessment::default();
        self.add_several(&mut found, several(&live.iter().collect::<Vec<_>>()));
        found.tidy()
    }

    fn note(&self, found: &mut Assessment, rule: Rule, reason: String) {
        found.add(rule, self.weights.of(rule), reason);
    }

    /// Compares country and network with all known ones of the user. If none is known, none is new.
    fn judge_place(&self, found: &mut Assessment, new: &Sighting, past: &[Past]) {
        let known = || past.iter().flat_map(|past| places(past, new.session));
        if let Some(country) = &new.place.country {
            let countries: BTreeSet<_> = known().filter_map(|place| place.country.clone()).collect();
            if !countries.is_empty() && !countries.contains(country) {
                let reason = format!("{country} is a new country: earlier sessions were in {}.", list(countries));
                self.note(found, Rule::NewCountry, reason);
            }
        }
        if new.place.asn.is_some() {
            let mut networks = known().filter(|place| place.asn.is_some()).peekable();
            if networks.peek().is_some() && networks.all(|place| place.asn != new.place.asn) {
                let known: BTreeSet<_> =
                    known().filter(|place| place.asn.is_some()).map(Place::network_words).collect();
                let network = new.place.network_words();
                let reason = format!("{network} is a new network: earlier sessions were in {}.", list(known));
                self.note(found, Rule::NewNetwork, reason);
            }
        }
    }

    fn judge_speed(&self, found: &mut Assessment, new: &Sighting, others: &[Sighting]) {
        let mut impossible = others.iter().filter_map(|other| impossible_km(new, other).map(|km| (km, other)));
        let Some((km, other)) = impossible.next() else { return };
        let reason = format!(
            "{} and {} are {km:.0} km apart, and were used within {}.",
            other.place.words(),
            new.place.words(),
            minutes(between(new, other))
        );
        if self.weights.of(Rule::ImpossibleSpeed) > 0 {
            found.sessions.push(other.session);
        }
        self.note(found, Rule::ImpossibleSpeed, reason);
    }

    fn add_several(&self, found: &mut Assessment, several: Option<Several>) {
        if let Some(Several { reason, sessions, oldest }) = several
            && self.weights.of(Rule::SeveralCountries) > 0
        {
            self.note(found, Rule::SeveralCountries, reason);
            found
                .signals
                .iter_mut()
                .filter(|it| it.rule == Rule::SeveralCountries)
                .for_each(|it| it.about.clone_from(&sessions));
            // The rules cannot tell which of them is the owner's.
            found.concerned.extend(&sessions);
            found.sessions.extend(sessions);
            found.core.extend(oldest);
        }
    }
}

/// Adds the judged session to an assessment that found something.
fn about(mut found: Assessment, session: SessionId) -> Assessment {
    if !found.is_empty() {
        found.judged = Some(session);
        for list in [&mut found.sessions, &mut found.core, &mut found.concerned] {
            list.push(session);
        }
        // Of the other sessions only their presence is known.
        found.signals.iter_mut().filter(|it| it.rule != Rule::SeveralCountries).for_each(|it| it.about.push(session));
    }
    found.tidy()
}

/// The known places of an earlier session. For the judged session only its sign-in counts: its last use may be the very
/// place in question.
fn places(past: &Past, judged: SessionId) -> impl Iterator<Item = &Place> {
    let last = (past.session != judged).then_some(&past.last.place);
    [&past.signed_in].into_iter().chain(last)
}

/// The distance of two uses, if it was impossible to travel. Network and country take precedence over kilometres: a
/// carrier's exit may be anywhere, and the middle of a country is not a person's position.
fn impossible_km(new: &Sighting, other: &Sighting) -> Option<f64> {
    let (here, there) = (&new.place, &other.place);
    if here.shares_network(there) {
        return None;
    }
    let vague = [here, there].into_iter().filter(|place| place.city.is_none()).count();
    if vague > 0 && here.shares_country(there) {
        return None;
    }
    let km = here.point?.km_to(there.point?);
    let hours = between(new, other).as_secs_f64() / 3_600.0;
    let vagueness = [0.0, NO_CITY_KM, 2.0 * NO_CITY_KM].get(vague).copied().unwrap_or_default();
    (km > TOLERANCE_KM + vagueness + TOP_KM_PER_HOUR * hours).then_some(km)
}

fn between(one: &Sighting, other: &Sighting) -> Duration {
    one.at.since(other.at).max(other.at.since(one.at))
}

/// Live sessions in several countries at once. Sessions of one country form a group, and so do those of one network:
/// the file may list a carrier's addresses under each country that the carrier serves.
fn several(live: &[&Sighting]) -> Option<Several> {
    let mut groups: Vec<Vec<&Sighting>> = Vec::new();
    for sighting in live.iter().filter(|sighting| sighting.place.country.is_some()) {
        let here = &sighting.place;
        let belongs = |group: &mut Vec<&Sighting>| {
            group.iter().any(|other| here.shares_country(&other.place) || here.shares_network(&other.place))
        };
        let mut together: Vec<_> = groups.extract_if(.., belongs).flatten().collect();
        together.push(sighting);
        groups.push(together);
    }
    if groups.len() < SEVERAL {
        return None;
    }
    let oldest = |group: &Vec<&Sighting>| group.iter().map(|sighting| sighting.session).min();
    let countries: BTreeSet<_> =
        groups.iter().flatten().filter_map(|sighting| sighting.place.country.clone()).collect();
    Some(Several {
        reason: format!("Sessions are alive in {} countries at the same time: {}.", countries.len(), list(countries)),
        oldest: groups.iter().filter_map(oldest).collect(),
        sessions: groups.iter().flatten().map(|sighting| sighting.session).collect(),
    })
}

fn list(names: BTreeSet<String>) -> String {
    let rest = names.len().saturating_sub(LISTED);
    let mut shown: Vec<_> = names.into_iter().take(LISTED).collect();
    if rest > 0 {
        shown.push(format!("{rest} more"));
    }
    shown.join(", ")
}

fn minutes(time: Duration) -> String {
    match time.as_secs().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes @ 2..120 => format!("{minutes} minutes"),
        minutes => format!("{} hours", minutes.div_ceil(60)),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
