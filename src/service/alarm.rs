//! The alarm: many wrong passwords in one minute, whoever they were for and wherever they came from.
//!
//! Owns the count of a whole node. It refuses nobody, or anybody could keep all people out: it tells whoever looks after
//! the server, once for each minute in which it is reached. Guessing at very many accounts from very many addresses shows
//! nowhere else.

use std::sync::{Mutex, PoisonError};

use super::{App, Cause};
use crate::domain::Timestamp;
use crate::domain::event::{Actor, Event};
use crate::ledger::audit;

/// Wrong passwords in a minute, on one node.
const MANY: u32 = 100;
const MINUTE_MS: i64 = 60_000;

/// What was counted in the present minute.
#[derive(Default)]
pub(super) struct Alarm {
    present: Mutex<Minute>,
}

#[derive(Clone, Copy, Default)]
struct Minute {
    number: i64,
    failures: u32,
}

impl Alarm {
    /// Counts a wrong password. True for the one that makes them many.
    fn rings(&self, now: Timestamp) -> bool {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.ms().div_euclid(MINUTE_MS);
        if present.number != number {
            *present = Minute { number, failures: 0 };
        }
        present.failures = present.failures.saturating_add(1);
        present.failures == MANY
    }
}

impl App {
    /// Counts a wrong password for this whole node, and raises the alarm when there are many.
    pub(super) fn note_failure(&self) {
        if !self.shared.throttle.alarm.rings(self.clock().now()) {
            return;
        }
        log::warn!(
            target: "sessiond::security",
            "event={} request=- ip=- user=- session=-: {MANY} wrong passwords within a minute",
            Event::GuessingFlood.name()
        );
        let app = self.clone();
        // Off the request, whose answer must not show that it was this one.
        tokio::spawn(async move {
            let cause = Cause { actor: Actor::Server, client: None, proof_of: None };
            let mut line = app.entry(Event::GuessingFlood, &cause, None, None);
            line.detail = Some(format!("{MANY} wrong passwords within a minute"));
            if let Err(error) = app.write(move |db| audit::append(db, &line)).await {
                log::warn!("the alarm is in the log alone: {error}");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l_27_many_failures_in_a_minute_are_told_once() {
        let alarm = Alarm::default();
        let rung =
            |second: i64, times: u32| (0..times).filter(|_| alarm.rings(Timestamp::from_ms(second * 1_000))).count();
        assert_eq!(rung(0, MANY - 1), 0);
        assert_eq!(rung(59, 1), 1, "the last second of the minute counts");
        assert_eq!(rung(59, 10 * MANY), 0, "once");
        assert_eq!(rung(60, MANY - 1), 0, "the next minute begins at nothing");
        assert_eq!(rung(119, 1), 1);
    }
}
