//! Circuit breaker: how many messages are sent at a time, and how long a failed one waits.
//!
//! Owns the decision whether the receiver fails or rejects one message: a receiver that is down gets one message now
//! and then, however many wait; one rejected message delays no other. Must never read a clock: every rule takes the
//! time as an argument.

use std::time::Duration;

use crate::domain::{Random, Timestamp, random};

/// Messages in flight at a time.
pub(in crate::service) const MOST: i64 = 16;
/// This many different messages failed and none arrived: the receiver is down.
const SEVERAL: usize = 3;
/// The longest pause before a failing receiver gets another message.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The first and the longest wait of a message.
const FIRST_WAIT: Duration = Duration::from_secs(2);
pub(in crate::service) const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// The longest pause that a receiver may ask for; a later time means that the clock was set back.
const LONGEST_AWAY: Duration = Duration::from_secs(3_600);

/// The receiver's state, as one node knows it.
#[derive(Default)]
pub(in crate::service) struct CircuitBreaker {
    failed: Vec<String>,
    since: Option<Timestamp>,
    pauses: u32,
    paused: Option<Timestamp>,
    away: Option<Timestamp>,
}

impl CircuitBreaker {
    /// How many messages may be sent now.
    pub(in crate::service) fn room(&self, now: Timestamp) -> i64 {
        let ahead =
            |until: Option<Timestamp>| until.is_some_and(|until| now < until && until.since(now) <= LONGEST_AWAY);
        match () {
            () if ahead(self.away) || ahead(self.paused) => 0,
            () if self.paused.is_some() => 1,
            () => MOST,
        }
    }

    /// Since when the receiver has accepted nothing; none while it works, as far as this node knows.
    pub(in crate::service) fn failing_since(&self) -> Option<Timestamp> {
        self.since
    }

    /// A message has arrived. Returns whether the receiver counted as failing.
    pub(in crate::service) fn delivered(&mut self) -> bool {
        let was_paused = self.paused.is_some();
        *self = Self { away: self.away, ..Self::default() };
        was_paused
    }

    /// A message has failed. Returns whether the receiver counts as failing from now on.
    pub(in crate::service) fn failed(
        &mut self,
        id: &str,
        away: Option<Duration>,
        now: Timestamp,
        random: &dyn Random,
    ) -> bool {
        self.since = self.since.or(Some(now));
        self.away = away.map(|away| now.plus(away.min(LONGEST_AWAY))).or(self.away);
        if self.failed.len() < SEVERAL && !self.failed.iter().any(|known| known == id) {
            self.failed.push(id.to_owned());
        }
        if self.failed.len() < SEVERAL || self.room(now) == 0 {
            return false;
        }
        let is_news = self.paused.is_none();
        self.paused = Some(now.plus(wait(Duration::from_secs(1), LONGEST_PAUSE, self.pauses, random)));
        self.pauses = self.pauses.saturating_add(1);
        is_news
    }
}

/// How long a message waits after this many failures.
pub(in crate::service) fn next_wait(failures: u32, random: &dyn Random) -> Duration {
    wait(FIRST_WAIT, LONGEST_WAIT, failures, random)
}

/// Doubles each time, up to a limit; then random between half and all of that, so that messages that failed together do
/// not come back together.
fn wait(first: Duration, longest: Duration, failures: u32, random: &dyn Random) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(longest);
    let [chance] = random::bytes::<1>(random);
    whole / 2 + whole / 512 * u32::from(chance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    const NOW: Timestamp = Timestamp::from_ms(1_795_331_082_007);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn one_message_that_is_refused_holds_no_other_up() {
        let mut breaker = CircuitBreaker::default();
        for round in 0..100 {
            assert!(!breaker.failed("poison", None, NOW.plus(seconds(round)), &SystemRandom));
            assert_eq!(breaker.room(NOW.plus(seconds(round))), MOST);
        }
    }

    #[test]
    fn a_receiver_that_is_down_is_asked_now_and_then() {
        let (mut breaker, mut now, mut asked) = (CircuitBreaker::default(), NOW, 0);
        let news: Vec<_> = (0..16).map(|id| breaker.failed(&id.to_string(), None, now, &SystemRandom)).collect();
        assert_eq!(news.iter().filter(|news| **news).count(), 1, "it is said once: {news:?}");
        for _ in 0..3_600 {
            now = now.plus(seconds(1));
            let room = breaker.room(now);
            assert!(room <= 1, "{room}");
            if room == 1 {
                asked += 1;
                assert!(!breaker.failed("next", None, now, &SystemRandom));
            }
        }
        assert!((60..=130).contains(&asked), "asked {asked} times in an hour");
        assert_eq!(breaker.failing_since(), Some(NOW));
        assert!(breaker.delivered() && !breaker.delivered(), "it is said once that it is back");
        assert_eq!((breaker.room(now), breaker.failing_since()), (MOST, None));
    }

    #[test]
    fn a_receiver_is_left_alone_as_long_as_it_asks_but_not_for_ever() {
        let mut breaker = CircuitBreaker::default();
        breaker.failed("a", Some(seconds(30)), NOW, &SystemRandom);
        breaker.delivered();
        assert_eq!((breaker.room(NOW.plus(seconds(29))), breaker.room(NOW.plus(seconds(30)))), (0, MOST));
        breaker.failed("a", Some(seconds(1_000_000)), NOW, &SystemRandom);
        assert_eq!((breaker.room(NOW.plus(seconds(3_599))), breaker.room(NOW.plus(seconds(3_600)))), (0, MOST));
        assert_eq!(breaker.room(NOW.minus(seconds(10_000))), MOST, "the clock was set back");
    }

    #[test]
    fn waits_double_up_to_an_hour_and_differ() {
        let waits: Vec<_> = (0..40).map(|failures| next_wait(failures, &SystemRandom)).collect();
        for (failures, wait) in waits.iter().enumerate() {
            let whole = seconds(2 << failures.min(20)).min(LONGEST_WAIT);
            assert!(*wait >= whole / 2 && *wait <= whole, "{failures}: {wait:?}");
        }
        let last: std::collections::BTreeSet<_> = waits.iter().skip(20).collect();
        assert!(last.len() > 5, "{last:?}");
    }
}
