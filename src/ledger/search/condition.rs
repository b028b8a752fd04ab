//! Condition: the conditions of a filter, and how each is written into a statement.
//!
//! Owns the column for each field of a filter, and which of them can lead with an index. Must never write a value into
//! a statement's text.

use super::statement::{Bind, Statement};
use crate::domain::{Filter, Network};
use crate::ledger::acting_sessions::of_kind;

/// How far the ledger's last-seen time may lag; see [`crate::domain::session::ledger_lag`].
pub(super) const LONGEST_LAG_MS: i64 = 60_000;

/// A condition on one column, or on a location.
#[derive(Clone)]
pub(super) struct Condition {
    column: &'static str,
    test: Test,
}

#[derive(Clone)]
enum Test {
    Is(Bind),
    Between([u8; 16], [u8; 16], Option<([u8; 16], [u8; 16])>),
    AtLeast(i64),
    Before(i64),
    /// The pattern of the parties that act in it.
    Actor(String),
    /// The sign-in location, or the present one: the values of one location.
    Place(Vec<Value>),
}

/// A field of a location: the column for the sign-in, the column for the last use, and the value.
#[derive(Clone)]
struct Value {
    first: &'static str,
    last: &'static str,
    value: Bind,
}

/// All conditions of a filter except those on the id; those with the fewest results first.
pub(super) fn conditions(filter: &Filter) -> Vec<Condition> {
    let text = |value: &String| Test::Is(Bind::Text(value.clone()));
    let user = filter.user.map(|user| Test::Is(Bind::Text(user.to_string())));
    // The ledger may lag: the caller, who knows later uses, judges those.
    let seen_after = filter.last_seen_after.map(|after| Test::AtLeast(after.ms().saturating_sub(LONGEST_LAG_MS)));
    let tests = [
        ("sessions.user_id", user),
        ("sessions.last_ip_key", filter.ip.as_ref().map(network)),
        ("sessions.sign_in_ip_key", filter.sign_in_ip.as_ref().map(network)),
        ("sessions.actor", filter.actor.map(|kind| Test::Actor(of_kind(kind)))),
        ("sessions.risk", filter.risk.filter(|weight| *weight > 0).map(Test::AtLeast)),
        ("", place(filter)),
        ("sessions.browser", filter.browser.as_ref().map(text)),
        ("sessions.os", filter.os.as_ref().map(text)),
        ("sessions.last_seen_at", filter.last_seen_before.map(|before| Test::Before(before.ms()))),
        ("sessions.last_seen_at", seen_after),
    ];
    tests.into_iter().filter_map(|(column, test)| Some(Condition { column, test: test? })).collect()
}

/// The field with fewer results first.
fn place(filter: &Filter) -> Option<Test> {
    let asn = filter.asn.map(|number| Value {
        first: "sessions.asn",
        last: "sessions.last_asn",
        value: Bind::Number(number),
    });
    let country = filter.country.as_ref().map(|country| Value {
        first: "sessions.country",
        last: "sessions.last_country",
        value: Bind::Text(country.clone()),
    });
    let values: Vec<_> = [asn, country].into_iter().flatten().collect();
    (!values.is_empty()).then_some(Test::Place(values))
}

fn network(network: &Network) -> Test {
    let (first, last) = network.bounds();
    if network.is_one() { Test::Is(Bind::Bytes(first.to_vec())) } else { Test::Between(first, last, network.gap()) }
}

impl Condition {
    /// One user, or one address: never many results.
    pub(super) fn is_sharp(&self) -> bool {
        let sharp = ["sessions.user_id", "sessions.last_ip_key", "sessions.sign_in_ip_key"];
        self.is_value() && sharp.contains(&self.column)
    }

    /// A range with an index.
    pub(super) fn is_range(&self) -> bool {
        matches!(self.test, Test::Between(..)) || self.column == "sessions.risk"
    }

    /// One value of one column.
    pub(super) fn is_value(&self) -> bool {
        matches!(self.test, Test::Is(_) | Test::Actor(_))
    }

    /// A location.
    pub(super) fn is_place(&self) -> bool {
        matches!(self.test, Test::Place(_))
    }
}

impl Statement {
    /// The condition as a filter, or leading: `hide` keeps it from the indexes.
    pub(super) fn and(&mut self, condition: &Condition, hide: &str) {
        let column = format!(" AND {hide}{}", condition.column);
        match &condition.test {
            Test::Is(value) => self.text(&format!("{column} = "), value.clone()),
            Test::Between(first, last, gap) => {
                self.text(&format!("{column} >= "), Bind::Bytes(first.to_vec()));
                self.text(&format!("{column} <= "), Bind::Bytes(last.to_vec()));
                if let Some((first, last)) = gap {
                    self.text(&format!(" AND NOT ({hide}{} >= ", condition.column), Bind::Bytes(first.to_vec()));
                    self.text(&format!("{column} <= "), Bind::Bytes(last.to_vec()));
                    self.text.push(')');
                }
            }
            Test::AtLeast(least) => {
                self.text(&format!("{column} >= "), Bind::Number(*least));
                if condition.column == "sessions.risk" {
                    // The index's own predicate: a planner cannot derive it from a parameter.
                    self.text.push_str(&format!("{column} > 0"));
                }
            }
            Test::Actor(pattern) => {
                // The first half is the index' own predicate.
                self.text.push_str(&format!("{column} IS NOT NULL"));
                self.text(&format!("{column} LIKE "), Bind::Text(pattern.clone()));
            }
            Test::Before(moment) => self.text(&format!("{column} < "), Bind::Number(*moment)),
            Test::Place(values) => {
                self.all(" AND ((", values.iter().map(|it| (it.first, &it.value)), hide);
                self.all(") OR (", values.iter().map(|it| (it.last, &it.value)), hide);
                self.text.push_str("))");
            }
        }
    }

    fn all<'a>(&mut self, mut before: &str, values: impl Iterator<Item = (&'static str, &'a Bind)>, hide: &str) {
        for (column, value) in values {
            self.text(&format!("{before}{hide}{column} = "), value.clone());
            before = " AND ";
        }
    }

    /// The condition as the leading one; for a location, the sign-in column.
    pub(super) fn first(&mut self, condition: &Condition) {
        match &condition.test {
            Test::Place(values) => {
                if let Some(Value { first, value, .. }) = values.first() {
                    self.text(&format!(" AND {first} = "), value.clone());
                }
            }
            _ => self.and(condition, ""),
        }
    }

    /// For a location: the present one, if the sign-in location is another.
    pub(super) fn elsewhere(&mut self, condition: &Condition) {
        if let Test::Place(values) = &condition.test
            && let Some(Value { first, last, value }) = values.first()
        {
            self.text(&format!(" AND {last} = "), value.clone());
            // The index's own predicate.
            self.text.push_str(&format!(" AND {last} IS DISTINCT FROM {first}"));
        }
    }
}
