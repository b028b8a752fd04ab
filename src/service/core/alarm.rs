//! Alarm: many wrong passwords in one minute, for any account and from any address.
//!
//! Owns the count of a whole node. It only alerts the operator, once for each minute in which the limit is reached:
//! refusing would let an attacker lock everyone out. No other counter shows guesses at very many accounts from very
//! many addresses.

use parking_lot::Mutex;

use crate::domain::Timestamp;

/// Wrong passwords in a minute, on one node, that trigger the alarm.
pub(in crate::service) const MANY: u32 = 100;
const MINUTE_MS: i64 = 60_000;

/// The count of the current minute.
#[derive(Default)]
pub(in crate::service) struct Alarm {
    present: Mutex<Minute>,
}

#[derive(Clone, Copy, Default)]
struct Minute {
    number: i64,
    failures: u32,
}

impl Alarm {
    /// Counts a wrong password. True for the one that reaches the limit.
    pub(in crate::service) fn rings(&self, now: Timestamp) -> bool {
        let mut present = self.present.lock();
        let number = now.ms().div_euclid(MINUTE_MS);
        if present.number != number {
            *present = Minute { number, failures: 0 };
        }
        present.failures = present.failures.saturating_add(1);
        present.failures == MANY
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
