//! Proof: when a user last proved their identity, and whether that is recent enough for an action.
//!
//! Owns the rule of step-up. Must never read the clock, and its result must never be kept for the next request: each
//! request applies the rule anew. Source: OWASP ASVS 5.0 §7.5.

use std::time::Duration;

use super::{MAX_SKEW, Timestamp};

/// The last proof of a session's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// When they last gave their password.
    pub at: Timestamp,
    /// Whether the proof no longer counts, because another device has presented the session since.
    pub challenged: bool,
}

impl Proof {
    /// The time of an unknown proof: too old for anything.
    pub const NEVER: Timestamp = Timestamp::from_ms(0);

    /// Whether it is younger than `age`: not when it is exactly that old, nor when a wrong clock dated it in the
    /// future.
    pub fn is_younger_than(&self, age: Duration, now: Timestamp) -> bool {
        !self.challenged && self.at > Self::NEVER && self.at <= now.plus(MAX_SKEW) && now.since(self.at) < age
    }

    /// When it was given, if it counts; never later than now.
    pub fn counting(&self, now: Timestamp) -> Option<Timestamp> {
        let counts = !self.challenged && self.at > Self::NEVER && self.at <= now.plus(MAX_SKEW);
        counts.then_some(self.at.min(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(900);

    #[test]
    fn a_proof_is_good_until_the_very_millisecond() {
        let proof = Proof { at: Timestamp::from_ms(1_000), challenged: false };
        for (now, good) in [(0, true), (1_000, true), (900_999, true), (901_000, false), (901_001, false)] {
            assert_eq!(proof.is_younger_than(AGE, Timestamp::from_ms(now)), good, "{now}");
        }
    }

    #[test]
    fn a_challenged_one_is_good_for_nothing() {
        let proof = Proof { at: Timestamp::from_ms(1_000), challenged: true };
        assert!(!proof.is_younger_than(AGE, proof.at));
        assert_eq!(proof.counting(proof.at), None);
    }

    #[test]
    fn one_that_a_wrong_clock_dated_does_not_count() {
        let now = Timestamp::from_ms(1_000_000);
        let counting = |at| Proof { at, challenged: false }.counting(now);
        assert_eq!(counting(now.minus(AGE)), Some(now.minus(AGE)));
        assert_eq!(counting(now.plus(MAX_SKEW)), Some(now), "clocks differ a little");
        assert_eq!(counting(now.plus(2 * MAX_SKEW)), None);
        assert_eq!(counting(Proof::NEVER), None);
    }
}
