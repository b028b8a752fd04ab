//! The judge judged: bad histories that it must see, and good ones that it must let pass.

use std::time::Duration;

use super::history::{Answer, Deed, Event, History, Issued, Scope, Span};
use super::judge::judge;

fn span(began: u64, ended: u64) -> Span {
    Span { began: Duration::from_millis(began), ended: Duration::from_millis(ended) }
}

/// Two sessions of one user, issued early, a third that is issued from 50 to 60, and one of somebody else.
fn violations(deeds: &[(u64, u64, Deed)]) -> Vec<String> {
    let issued = |user, began, ended| Issued { user, span: span(began, ended) };
    let sessions = vec![issued(0, 0, 1), issued(0, 2, 3), issued(0, 50, 60), issued(1, 4, 5)];
    let event =
        |(began, ended, deed): &(u64, u64, Deed)| Event { span: span(*began, *ended), node: 0, deed: deed.clone() };
    judge(&History { sessions, events: deeds.iter().map(event).collect() }).violations
}

fn yes(session: usize) -> Deed {
    Deed::Check(session, Answer::Own)
}

fn no(session: usize) -> Deed {
    Deed::Check(session, Answer::Ended)
}

#[track_caller]
fn bad(deeds: &[(u64, u64, Deed)], what: &str) {
    let found = violations(deeds);
    assert!(matches!(found.as_slice(), [one] if one.starts_with(what)), "{what}: {found:?}");
}

#[track_caller]
fn good(deeds: &[(u64, u64, Deed)]) {
    assert_eq!(violations(deeds), Vec::<String>::new());
}

#[test]
fn a_yes_after_a_revocation_was_answered_is_seen() {
    let revoked = Deed::Revoke(Scope::One(1), true);
    bad(&[(10, 20, revoked.clone()), (21, 22, yes(1))], "came back");
    bad(&[(21, 22, yes(1)), (10, 20, revoked)], "came back");
    bad(&[(10, 20, Deed::Revoke(Scope::Others(0), true)), (21, 22, yes(1))], "came back");
    bad(&[(10, 20, Deed::Revoke(Scope::All(0), true)), (21, 22, yes(0))], "came back");
    // The first answer counts, whatever a repetition is answered.
    let repeated = Deed::Revoke(Scope::One(1), false);
    bad(&[(10, 20, Deed::Revoke(Scope::One(1), true)), (22, 30, repeated), (21, 24, yes(1))], "came back");
}

#[test]
fn a_yes_during_a_revocation_or_after_one_that_failed_may_be() {
    good(&[(10, 20, Deed::Revoke(Scope::One(1), true)), (19, 25, yes(1))]);
    good(&[(10, 20, Deed::Revoke(Scope::One(1), false)), (21, 25, yes(1)), (26, 27, no(1))]);
    good(&[(10, 20, Deed::Revoke(Scope::Others(0), true)), (21, 22, yes(0)), (21, 22, yes(3))]);
}

#[test]
fn a_no_that_nobody_has_asked_for_is_seen() {
    bad(&[(10, 20, no(1))], "signed out by nobody");
    bad(&[(10, 20, no(1)), (21, 30, Deed::Revoke(Scope::One(1), true))], "signed out by nobody");
    bad(&[(10, 20, Deed::Revoke(Scope::One(1), true)), (21, 22, no(0))], "signed out by nobody");
    bad(&[(10, 20, Deed::Revoke(Scope::Others(0), true)), (21, 22, no(0))], "signed out by nobody");
    bad(&[(10, 20, Deed::Revoke(Scope::All(0), true)), (21, 22, no(3))], "signed out by nobody");
    bad(&[(10, 20, Deed::Revoke(Scope::All(0), true)), (70, 80, no(2))], "signed out by nobody");
}

#[test]
fn a_session_that_is_issued_during_a_revocation_may_be_covered_or_not() {
    let revoked = Deed::Revoke(Scope::All(0), true);
    good(&[(40, 55, revoked.clone()), (70, 80, no(2))]);
    good(&[(40, 55, revoked), (70, 80, yes(2))]);
    // What failed may still happen a little later.
    good(&[(10, 20, Deed::Revoke(Scope::All(0), false)), (70, 80, no(2))]);
}

#[test]
fn what_is_neither_yes_nor_no_is_seen() {
    bad(&[(10, 20, Deed::Check(1, Answer::Foreign("another user".to_owned())))], "crossed wires");
    bad(&[(10, 20, Deed::Check(1, Answer::Odd("500".to_owned())))], "neither yes nor no");
    good(&[(10, 20, Deed::Check(1, Answer::Unknown)), (10, 20, Deed::Check(1, Answer::Nothing))]);
}
