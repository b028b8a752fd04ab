//! Each rule: what it finds, and what it does not.
//!
//! Owns the examples that docs/risk.md gives.

use std::time::Duration;

use super::super::{KnownAlert, News, RiskAction, Signal, Weights};
use super::*;
use crate::domain::{Point, SystemRandom, Timestamp};

const HOUR: u64 = 3_600;

fn at(hours: u64) -> Timestamp {
    Timestamp::from_ms(1_700_000_000_000).plus(Duration::from_secs(hours * HOUR))
}

fn place(country: &str, city: Option<&str>, asn: i64, (latitude, longitude): (f64, f64)) -> Place {
    Place {
        country: Some(country.to_owned()),
        city: city.map(str::to_owned),
        asn: Some(asn),
        network: Some(format!("network {asn}")),
        point: Point::new(latitude, longitude),
    }
}

fn lisbon() -> Place {
    place("PT", Some("Lisbon"), 1, (38.72, -9.14))
}

fn madrid() -> Place {
    place("ES", Some("Madrid"), 2, (40.42, -3.70))
}

fn sao_paulo() -> Place {
    place("BR", Some("São Paulo"), 3, (-23.55, -46.63))
}

fn tokyo() -> Place {
    place("JP", Some("Tokyo"), 4, (35.69, 139.69))
}

fn sighting(place: Place, hours: u64) -> Sighting {
    Sighting { session: SessionId::generate(at(hours), &SystemRandom), place, at: at(hours) }
}

fn past(place: Place, hours: u64) -> Past {
    let last = sighting(place.clone(), hours);
    let (browser, os) = (Some("Firefox".to_owned()), Some("Linux".to_owned()));
    Past { session: last.session, signed_in: place, last, browser, os }
}

fn arrival(place: Place, hours: u64) -> Arrival {
    let (browser, os) = (Some("Firefox".to_owned()), Some("Linux".to_owned()));
    Arrival { sighting: sighting(place, hours), browser, os, failures: 0, familiar: false }
}

fn names(found: &Assessment) -> Vec<&'static str> {
    found.signals.iter().map(|signal| signal.rule.name()).collect()
}

fn judge(new: &Arrival, past: &[Past], live: &[Sighting]) -> Vec<&'static str> {
    names(&RiskPolicy::default().judge_arrival(new, past, live))
}

#[test]
fn the_first_sign_in_is_never_strange() {
    let mut first = arrival(tokyo(), 0);
    first.failures = 99;
    assert!(RiskPolicy::default().judge_arrival(&first, &[], &[]).is_empty());
}

#[test]
fn new_country_and_new_network() {
    let known = [past(lisbon(), 0)];
    let found = RiskPolicy::default().judge_arrival(&arrival(madrid(), 100), &known, &[]);
    assert_eq!(names(&found), ["new_country", "new_network"]);
    let reasons: Vec<_> = found.signals.iter().map(|signal| signal.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "ES is a new country: earlier sessions were in PT.",
            "AS2 (network 2) is a new network: earlier sessions were in AS1 (network 1).",
        ]
    );
    assert_eq!(judge(&arrival(lisbon(), 100), &known, &[]), [""; 0]);
    // Another network in the same country; the same network in another one.
    let elsewhere = |country, asn| Place { country, asn, ..lisbon() };
    assert_eq!(judge(&arrival(elsewhere(Some("PT".to_owned()), Some(9)), 100), &known, &[]), ["new_network"]);
    assert_eq!(judge(&arrival(elsewhere(Some("ES".to_owned()), Some(1)), 100), &known, &[]), ["new_country"]);
    // The unknown is not new, and if no place was known, none is new: the day that the file is installed.
    assert_eq!(judge(&arrival(Place::default(), 100), &known, &[]), [""; 0]);
    assert_eq!(judge(&arrival(madrid(), 100), &[past(Place::default(), 0)], &[]), [""; 0]);
    // The place of a session's later use is known too.
    let mut travelled = past(lisbon(), 0);
    travelled.last.place = madrid();
    assert_eq!(judge(&arrival(madrid(), 100), &[travelled], &[]), [""; 0]);
}

#[test]
fn impossible_speed() {
    let known = || [past(lisbon(), 0), past(sao_paulo(), 0)];
    let found =
        RiskPolicy::default().judge_arrival(&arrival(sao_paulo(), 2), &[past(lisbon(), 0), past(sao_paulo(), 0)], &[]);
    assert_eq!(names(&found), ["impossible_speed"]);
    assert_eq!(
        found.signals[0].reason,
        "Lisbon, PT and São Paulo, BR are 7949 km apart, and were used within 2 hours."
    );
    assert_eq!(
        (found.sessions.len(), found.concerned.len(), found.core.len()),
        (2, 1, 1),
        "both are named, one concerned"
    );
    // A flight takes some ten hours; Madrid is within the tolerance.
    assert_eq!(judge(&arrival(sao_paulo(), 10), &known(), &[]), [""; 0]);
    assert_eq!(judge(&arrival(madrid(), 0), &[past(lisbon(), 0), past(madrid(), 99)], &[]), [""; 0]);
}

#[test]
fn a_use_from_nowhere_in_between_hides_no_impossible_speed() {
    let policy = RiskPolicy::default();
    let session = past(lisbon(), 0);
    let nowhere = Sighting { place: Place::default(), ..session.last.clone() };
    let now = |hours| Sighting { at: at(hours), ..Sighting { session: session.session, ..sighting(tokyo(), hours) } };
    let judge = |hours, past: &[Past]| names(&policy.judge_move(&now(hours), &nowhere, past, &[]));
    let hidden = Past { last: nowhere.clone(), ..session.clone() };
    assert!(judge(1, std::slice::from_ref(&hidden)).contains(&"impossible_speed"), "by its own sign-in");
    assert!(!judge(20, std::slice::from_ref(&hidden)).contains(&"impossible_speed"), "a flight later");
    // A place of another session, at a sign-in.
    let other = Past { last: nowhere, ..session };
    assert!(names(&policy.judge_arrival(&arrival(tokyo(), 1), &[other], &[])).contains(&"impossible_speed"));
}

#[test]
fn country_and_network_come_before_kilometres() {
    let far = |asn, city: Option<&str>, country: &str| place(country, city, asn, (-23.55, -46.63));
    let speed = |new: Place, old: Place| {
        let mut found = Assessment::default();
        let policy = RiskPolicy::default();
        policy.judge_speed(&mut found, &sighting(new, 0), &[sighting(old, 0)]);
        !found.is_empty()
    };
    assert!(speed(far(3, Some("São Paulo"), "BR"), lisbon()));
    assert!(!speed(far(1, Some("São Paulo"), "BR"), lisbon()), "a carrier files its addresses where it likes");
    assert!(!speed(far(3, None, "PT"), lisbon()), "the middle of a country is no place in it");
    assert!(speed(far(3, Some("Somewhere"), "PT"), lisbon()), "two cities of one country are two places");
    assert!(speed(far(3, None, "BR"), lisbon()), "another country is far even without a city");
    assert!(!speed(place("MA", None, 3, (32.0, -6.0)), lisbon()), "but not a neighbour");
    assert!(!speed(Place { point: None, ..sao_paulo() }, lisbon()));
    assert!(!speed(Place { asn: None, ..lisbon() }, Place { asn: None, ..lisbon() }));
}

#[test]
fn several_countries() {
    let policy = RiskPolicy::default();
    let live = [sighting(lisbon(), 0), sighting(lisbon(), 1), sighting(madrid(), 2)];
    assert!(policy.judge_live(&live).is_empty(), "two");
    let mut everywhere = live.to_vec();
    everywhere.push(sighting(tokyo(), 3));
    let found = policy.judge_live(&everywhere);
    assert_eq!(names(&found), ["several_countries"]);
    assert_eq!(found.signals[0].reason, "Sessions are alive in 3 countries at the same time: ES, JP, PT.");
    let ids = |of: &[usize]| of.iter().map(|&index| everywhere[index].session).collect::<Vec<_>>();
    assert_eq!(found.sessions, ids(&[0, 1, 2, 3]));
    assert_eq!(found.concerned, found.sessions, "nobody can tell which is the owner's");
    assert_eq!(found.core, ids(&[0, 2, 3]));
    // The session that makes it three countries is unusual; further ones in the same countries are not.
    let known: Vec<_> = [lisbon(), madrid(), tokyo()].into_iter().map(|place| past(place, 0)).collect();
    assert_eq!(judge(&arrival(tokyo(), 100), &known, &live), ["several_countries"]);
    assert_eq!(judge(&arrival(tokyo(), 100), &known, &everywhere), [""; 0]);
    // Unknown places belong to no country.
    assert!(policy.judge_live(&[sighting(Place::default(), 0), live[0].clone(), live[2].clone()]).is_empty());
}

#[test]
fn a_carrier_in_several_countries_is_one() {
    let policy = RiskPolicy::default();
    let with = |place: Place, asn| sighting(Place { asn, ..place }, 0);
    let carrier = |asn: Option<i64>| [with(lisbon(), asn), with(madrid(), asn), with(tokyo(), asn)];
    assert!(policy.judge_live(&carrier(Some(12_430))).is_empty());
    assert_eq!(policy.judge_live(&carrier(None)).signals.len(), 1);
    // With a home network of its own beside it: two.
    let mut home = carrier(Some(12_430)).to_vec();
    home.push(sighting(place("DE", None, 5, (51.0, 9.0)), 0));
    assert!(policy.judge_live(&home).is_empty());
}

#[test]
fn failures_before_success() {
    let with = |failures| Arrival { failures, ..arrival(lisbon(), 9) };
    let found = RiskPolicy::default().judge_arrival(&with(5), &[past(lisbon(), 0)], &[]);
    assert_eq!(names(&found), ["failures_before_success"]);
    assert_eq!(found.signals[0].reason, "5 wrong passwords preceded the right one.");
    assert_eq!(judge(&with(4), &[past(lisbon(), 0)], &[]), [""; 0]);
}

#[test]
fn new_device() {
    let with = |browser: Option<&str>, familiar| Arrival {
        browser: browser.map(str::to_owned),
        os: browser.map(|_| "Linux".to_owned()),
        familiar,
        ..arrival(lisbon(), 9)
    };
    let found = RiskPolicy::default().judge_arrival(&with(Some("Chrome"), false), &[past(lisbon(), 0)], &[]);
    assert_eq!(names(&found), ["new_device"]);
    assert_eq!(found.signals[0].reason, "No earlier session was Chrome on Linux.");
    for known in [with(Some("Firefox"), false), with(Some("Chrome"), true), with(None, false)] {
        assert_eq!(judge(&known, &[past(lisbon(), 0)], &[]), [""; 0]);
    }
}

#[test]
fn a_move_is_judged_beside_where_the_session_was() {
    let policy = RiskPolicy::default();
    let own = past(lisbon(), 0);
    let before = Sighting { at: at(50), ..own.last.clone() };
    let moved = |place, hours| Sighting { session: own.session, place, at: at(hours) };
    let live = std::slice::from_ref(&before);
    let mut told = own.clone();
    // The ledger may already know the use that is judged.
    told.last = moved(tokyo(), 51);
    let found = policy.judge_move(&moved(tokyo(), 51), &before, &[told], live);
    assert_eq!(names(&found), ["new_country", "new_network", "impossible_speed"]);
    assert_eq!(found.sessions, [own.session]);
    let found = policy.judge_move(&moved(madrid(), 51), &before, std::slice::from_ref(&own), live);
    assert_eq!(names(&found), ["new_country", "new_network"]);
    let back = moved(lisbon(), 80);
    assert!(policy.judge_move(&back, &moved(madrid(), 60), std::slice::from_ref(&own), live).is_empty());
}

#[test]
fn a_rule_of_no_weight_is_off_and_the_sum_decides() {
    let known = [past(lisbon(), 0)];
    let new = arrival(sao_paulo(), 1);
    let found = RiskPolicy::default().judge_arrival(&new, &known, &[]);
    assert_eq!((names(&found).len(), found.risk()), (3, 100));
    for rule in Rule::ALL {
        let weights = Weights::default().with(rule, 0);
        let policy = RiskPolicy { weights, ..RiskPolicy::default() };
        let found = policy.judge_arrival(&new, &known, &[]);
        assert!(!names(&found).contains(&rule.name()));
        assert_eq!(found.sessions.len(), if rule == Rule::ImpossibleSpeed { 1 } else { 2 });
        assert!(
            policy.judge_live(&[sighting(lisbon(), 0), sighting(madrid(), 0), sighting(tokyo(), 0)]).is_empty()
                == (rule == Rule::SeveralCountries)
        );
    }
    let with = |threshold| RiskPolicy { threshold, action: RiskAction::Alert, weights: Weights::default() };
    assert!(with(100).is_alarming(&found) && !with(101).is_alarming(&found));
    assert!(!with(1).is_alarming(&Assessment::default()));
}

#[derive(Debug, PartialEq)]
struct Alert {
    open: bool,
    signals: Vec<Signal>,
    sessions: Vec<SessionId>,
}

impl KnownAlert for Alert {
    fn acknowledged_at(&self) -> Option<Timestamp> {
        (!self.open).then_some(at(4))
    }

    fn signals(&self) -> &[Signal] {
        &self.signals
    }

    fn sessions(&self) -> &[SessionId] {
        &self.sessions
    }
}

#[test]
fn one_alert_for_one_matter() {
    let policy = RiskPolicy::default();
    let live = [sighting(lisbon(), 0), sighting(madrid(), 1), sighting(tokyo(), 2)];
    let found = policy.judge_live(&live);
    let alert = |open| Alert { open, signals: found.signals.clone(), sessions: found.sessions.clone() };
    assert_eq!(found.news::<Alert>(&[]), News::New);
    for open in [true, false] {
        assert_eq!(found.news(&[alert(open)]), News::Known);
        // A further session in a named country changes nothing.
        let mut more = live.to_vec();
        more.push(sighting(tokyo(), 3));
        assert_eq!(policy.judge_live(&more).news(&[alert(open)]), News::Known);
    }
    // A fourth country belongs to the open alert, and opens another one after that alert was acknowledged.
    let mut more = live.to_vec();
    more.push(sighting(sao_paulo(), 3));
    let more = policy.judge_live(&more);
    assert_eq!(more.news(&[alert(true)]), News::More(&alert(true)));
    assert_eq!(more.news(&[alert(false)]), News::New);
    assert_eq!(more.sessions_after(&found.sessions).len(), 1);
    assert_eq!(more.signals_after(&found.signals).len(), 2);
    assert_eq!(found.signals_after(&found.signals), found.signals);
    // Another reason is new, even for the same session.
    let mut guessed = arrival(lisbon(), 9);
    guessed.failures = 7;
    let guessed = policy.judge_arrival(&guessed, &[past(lisbon(), 0)], &live[..1]);
    assert_eq!(guessed.news(&[alert(true)]), News::New);
}

/// Of several sessions in one country the oldest stands for it. It may end, or move to an unknown place.
#[test]
fn what_was_acknowledged_is_not_told_again_when_one_of_its_sessions_goes() {
    let policy = RiskPolicy::default();
    let live = [sighting(lisbon(), 0), sighting(madrid(), 1), sighting(tokyo(), 2), sighting(lisbon(), 3)];
    let found = policy.judge_live(&live[..3]);
    let alert = |open| Alert { open, signals: found.signals.clone(), sessions: found.sessions.clone() };
    let left = policy.judge_live(&live[1..]);
    assert_eq!(left.news(&[alert(false)]), News::Known);
    assert_eq!(left.news(&[alert(true)]), News::More(&alert(true)), "an open alert names the one that is left");
    // A session that moves into one of the countries later, or begins later, was not there to be seen.
    let to = |from: &Sighting, place| Sighting { session: from.session, place, at: at(5) };
    let moved = |from: &Sighting, place| policy.judge_move(&to(from, place), from, &[], &live);
    assert_eq!(moved(&live[0], Place::default()).news(&[alert(false)]), News::Known);
    assert_eq!(moved(&sighting(Place::default(), 3), madrid()).news(&[alert(false)]), News::New);
    let later = [live[1].clone(), live[2].clone(), sighting(lisbon(), 6)];
    assert_eq!(policy.judge_live(&later).news(&[alert(false)]), News::New);
}

/// An alert about one theft does not hide the next.
#[test]
fn another_place_is_another_reason() {
    let policy = RiskPolicy::default();
    let (own, before) = (past(lisbon(), 0), sighting(lisbon(), 0));
    let moved = |place, hours| Sighting { session: own.session, place, at: at(hours) };
    let judge = |place, hours| policy.judge_move(&moved(place, hours), &before, std::slice::from_ref(&own), &[]);
    let found = judge(tokyo(), 1);
    let alert = |open| Alert { open, signals: found.signals.clone(), sessions: found.sessions.clone() };
    for open in [true, false] {
        assert_eq!(judge(tokyo(), 2).news(&[alert(open)]), News::Known, "the same again");
    }
    let next = judge(sao_paulo(), 2);
    assert_eq!(next.news(&[alert(true)]), News::More(&alert(true)));
    assert!(!next.is_told_by(&alert(true)) && next.signals_after(&found.signals).len() > found.signals.len());
    assert_eq!(next.news(&[alert(false)]), News::New, "that was acknowledged, and this was not");
    // Sessions unrelated to the named ones.
    let other = |place, hours| policy.judge_arrival(&arrival(place, hours), &[past(lisbon(), 0)], &[]);
    assert_eq!(other(sao_paulo(), 9).news(&[alert(true)]), News::New);
}

/// A session that an alert names only as an earlier one is judged when it moves itself.
#[test]
fn who_was_there_before_is_not_told_of() {
    let policy = RiskPolicy::default();
    let (own, before) = (past(lisbon(), 0), sighting(lisbon(), 0));
    let new = arrival(tokyo(), 1);
    let found = policy.judge_arrival(&new, std::slice::from_ref(&own), std::slice::from_ref(&own.last));
    assert!(found.sessions.contains(&own.session) && found.core == [new.sighting.session]);
    let alert =
        |open, found: &Assessment| Alert { open, signals: found.signals_after(&[]), sessions: found.sessions.clone() };
    assert_eq!(found.news(&[alert(true, &found)]), News::Known);
    let before = Sighting { session: own.session, ..before };
    let moved = |hours| Sighting { session: own.session, place: tokyo(), at: at(hours) };
    let moved = |hours| policy.judge_move(&moved(hours), &before, std::slice::from_ref(&own), &[]);
    let told = alert(true, &found);
    assert_eq!(moved(1).news(std::slice::from_ref(&told)), News::More(&told));
    assert_eq!(moved(1).news(&[alert(false, &found)]), News::New);
    assert_eq!(moved(1).concerned_beside(&told), [own.session]);
    // Once, and in the same words.
    let grown = Alert { signals: moved(1).signals_after(&told.signals), ..told };
    assert!(grown.signals.len() <= found.signals.len() + 1, "{grown:?}");
    assert_eq!(moved(2).news(std::slice::from_ref(&grown)), News::Known, "the minutes are others");
    assert!(moved(2).concerned_beside(&grown).is_empty());
}

#[test]
fn lists_are_short() {
    let known: Vec<_> = ["A", "B", "C", "D", "E", "F", "G"]
        .map(|name| Place { asn: None, ..place(name, None, 1, (0.0, 0.0)) })
        .into_iter()
        .map(|place| past(place, 0))
        .collect();
    let found = RiskPolicy::default().judge_arrival(&arrival(lisbon(), 999), &known, &[]);
    assert_eq!(found.signals[0].reason, "PT is a new country: earlier sessions were in A, B, C, D, E, 2 more.");
}

/// Every rule except the one that a stranger can trigger with only an address.
#[test]
fn only_what_a_stranger_can_bring_about_is_no_reason_to_act() {
    let policy = |action| RiskPolicy { action, ..RiskPolicy::default() };
    for action in [RiskAction::Alert, RiskAction::StepUp, RiskAction::Revoke] {
        for rule in Rule::ALL {
            let mut found = Assessment::default();
            found.add(rule, 60, "a test".to_owned());
            let anybodys = rule == Rule::FailuresBeforeSuccess;
            assert!(policy(action).is_alarming(&found), "it is told");
            assert_eq!(policy(action).action_on(&found), if anybodys { RiskAction::Alert } else { action }, "{rule:?}");
            // Nor does it add weight to other rules.
            let mut found = Assessment::default();
            found.add(rule, 59, "a test".to_owned());
            found.add(Rule::FailuresBeforeSuccess, 50, "a test".to_owned());
            assert_eq!(policy(action).action_on(&found), RiskAction::Alert, "{rule:?}");
        }
    }
}
