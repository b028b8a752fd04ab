//! The ledger's clock, as a node reckons it.
//!
//! Owns [`LedgerClock`]: comparisons with stored times use SQL's clock, so that all nodes judge alike. Between two
//! readings of SQL the stopwatch advances it, so a jump of the wall clock changes nothing. Must never query SQL itself:
//! its caller passes each [`Reading`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::clock::{Clock, Timestamp, millis};

/// Most difference between a node's wall clock and SQL's. Beyond it one of them is wrong, and no node can tell which.
pub const MAX_SKEW: Duration = Duration::from_secs(2);
/// A reading that took longer is too imprecise.
const LONGEST_READING: Duration = Duration::from_secs(1);
/// How long the purge pauses after SQL's clock was moved, in case the move was a mistake and is reverted.
const SETTLING: Duration = Duration::from_secs(600);
/// Rounding error: SQL and the stopwatch each round to milliseconds.
const ROUNDING_MS: i64 = 1;
/// SQL's clock has never moved.
const NEVER: i64 = i64::MIN;

/// SQL's clock, and the stopwatch before and after the query.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The stopwatch before the query.
    pub before: Duration,
    /// SQL's clock.
    pub there: Timestamp,
    /// The stopwatch after the query.
    pub after: Duration,
}

/// The difference between a node's wall clock and SQL's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// They agree within [`MAX_SKEW`].
    Small,
    /// They do not agree: the node's is ahead by this many milliseconds.
    Large(i64),
    /// SQL's clock was never read.
    Unknown,
}

/// SQL's clock: the last reading plus the stopwatch since. A call costs the stopwatch and one atomic load.
pub struct LedgerClock {
    node: Arc<dyn Clock>,
    /// SQL's clock at the stopwatch's zero, in milliseconds.
    origin: AtomicI64,
    read: AtomicBool,
    /// The stopwatch when SQL's clock was last seen to move, in milliseconds.
    moved: AtomicI64,
}

impl LedgerClock {
    /// A clock that follows the node's own until the first reading.
    pub fn new(node: Arc<dyn Clock>) -> Self {
        let origin = node.wall().ms().saturating_sub(millis(node.monotonic()));
        Self { node, origin: AtomicI64::new(origin), read: AtomicBool::default(), moved: AtomicI64::new(NEVER) }
    }

    /// Adopts a reading if it agrees with the node's wall clock. If it does not, no node can tell which of the two is
    /// wrong, and this clock continues unchanged.
    pub fn correct(&self, reading: &Reading) -> Skew {
        let Some(origin) = self.judge(reading) else { return self.skew() };
        let skew = self.skew_from(origin);
        if skew == Skew::Small {
            self.set(origin, reading.after);
        }
        skew
    }

    /// Adopts a reading even if the node's wall clock disagrees: for a command, which neither purges nor serves.
    pub fn follow(&self, reading: &Reading) {
        if let Some(origin) = self.judge(reading) {
            self.set(origin, reading.after);
        }
    }

    /// The current difference between the node's wall clock and this one.
    pub fn skew(&self) -> Skew {
        if self.read.load(Ordering::SeqCst) {
            self.skew_from(self.origin.load(Ordering::SeqCst))
        } else {
            Skew::Unknown
        }
    }

    /// The time up to which a transaction may purge, from a reading inside that transaction. `None` while the clocks
    /// disagree, and for ten minutes after SQL's clock was moved.
    pub fn purge_moment(&self, reading: &Reading) -> Option<Timestamp> {
        let skew = self.correct(reading);
        let moved = self.moved.load(Ordering::SeqCst);
        let is_settled = moved == NEVER || millis(reading.after).saturating_sub(moved) >= millis(SETTLING);
        (skew == Skew::Small && is_settled).then(|| self.travel(reading.there))
    }

    /// The origin after a reading; `None` if the reading took too long. SQL's clock was read between `before` and
    /// `after`. An origin within these bounds is kept, so that the clock does not jitter; another origin moves to the
    /// nearer bound. So a step is a millisecond or two, unless SQL's clock itself was moved.
    fn judge(&self, reading: &Reading) -> Option<i64> {
        let Reading { before, there, after } = *reading;
        if after.saturating_sub(before) > LONGEST_READING {
            return None;
        }
        let least = there.ms().saturating_sub(millis(after)).saturating_sub(ROUNDING_MS);
        let most = there.ms().saturating_sub(millis(before)).saturating_add(ROUNDING_MS);
        Some(self.origin.load(Ordering::SeqCst).max(least).min(most))
    }

    fn set(&self, origin: i64, at: Duration) {
        let step = origin.saturating_sub(self.origin.swap(origin, Ordering::SeqCst));
        let was_read = self.read.swap(true, Ordering::SeqCst);
        if was_read && step.saturating_abs() > millis(MAX_SKEW) {
            self.moved.store(millis(at), Ordering::SeqCst);
            log::warn!("the database's clock jumped by {step} ms: nothing is purged for {} s", SETTLING.as_secs());
        }
    }

    /// What this clock shows when the stopwatch shows `monotonic`: for a caller that has just read the stopwatch.
    pub fn at(&self, monotonic: Duration) -> Timestamp {
        let origin = self.origin.load(Ordering::Relaxed);
        self.travel(Timestamp::from_ms(origin.saturating_add(millis(monotonic))))
    }

    fn skew_from(&self, origin: i64) -> Skew {
        let ahead = self.node.wall().ms().saturating_sub(origin.saturating_add(millis(self.node.monotonic())));
        if ahead.saturating_abs() <= millis(MAX_SKEW) { Skew::Small } else { Skew::Large(ahead) }
    }
}

impl Clock for LedgerClock {
    fn now(&self) -> Timestamp {
        self.at(self.node.monotonic())
    }

    fn wall(&self) -> Timestamp {
        self.node.wall()
    }

    fn monotonic(&self) -> Duration {
        self.node.monotonic()
    }

    fn travel(&self, moment: Timestamp) -> Timestamp {
        self.node.travel(moment)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// A wall clock and a stopwatch that move only by hand.
    #[derive(Default)]
    struct Still {
        wall: AtomicI64,
        stopwatch: AtomicU64,
    }

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_ms(self.wall.load(Ordering::SeqCst))
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.stopwatch.load(Ordering::SeqCst))
        }
    }

    fn at(wall: i64, stopwatch: u64) -> (Arc<Still>, LedgerClock) {
        let node = Arc::new(Still { wall: AtomicI64::new(wall), stopwatch: AtomicU64::new(stopwatch) });
        (Arc::clone(&node), LedgerClock::new(node))
    }

    fn reading(before: u64, there: i64, after: u64) -> Reading {
        let [before, after] = [before, after].map(Duration::from_millis);
        Reading { before, there: Timestamp::from_ms(there), after }
    }

    #[test]
    fn it_is_sqls_time_and_not_the_nodes() {
        let (node, clock) = at(1_001_500, 10);
        assert_eq!(clock.skew(), Skew::Unknown);
        assert_eq!(clock.correct(&reading(10, 1_000_000, 10)), Skew::Small);
        assert_eq!(clock.now().ms(), 1_000_001);
        // The wall jumps, the stopwatch goes on.
        node.wall.store(9_000_000, Ordering::SeqCst);
        node.stopwatch.store(1_010, Ordering::SeqCst);
        assert_eq!((clock.now().ms(), clock.skew()), (1_001_001, Skew::Large(9_000_000 - 1_001_001)));
    }

    #[test]
    fn it_stays_where_it_is_as_long_as_that_may_be_right() {
        let (_, clock) = at(1_000_000, 1_000);
        for there in [999_000, 999_500, 1_000_000] {
            clock.correct(&reading(0, there, 1_000));
            assert_eq!(clock.now().ms(), 1_000_000, "{there}");
        }
        clock.correct(&reading(900, 999_500, 1_000));
        assert_eq!(clock.now().ms(), 999_601, "the nearest that the reading allows");
    }

    #[test]
    fn a_reading_that_disagrees_or_took_too_long_changes_nothing() {
        let (node, clock) = at(1_000_000, 5_000);
        assert_eq!(clock.correct(&reading(3_999, 1_000_000, 5_000)), Skew::Unknown);
        assert_eq!(clock.correct(&reading(5_000, 1_000_000, 5_000)), Skew::Small);
        for wrong in [1_002_002, 997_998, i64::MAX, i64::MIN] {
            assert!(matches!(clock.correct(&reading(5_000, wrong, 5_000)), Skew::Large(_)), "{wrong}");
            assert_eq!(clock.now().ms(), 1_000_000, "{wrong}");
        }
        node.wall.store(1_002_001, Ordering::SeqCst);
        assert_eq!(clock.correct(&reading(5_000, 1_000_000, 5_000)), Skew::Large(2_001));
        clock.follow(&reading(5_000, 7_000, 5_000));
        assert_eq!(clock.now().ms(), 7_001);
    }

    #[test]
    fn nothing_is_purged_while_clocks_disagree_or_soon_after_sqls_was_moved() {
        let (node, clock) = at(1_000_000, 5_000);
        let purge = |there, stopwatch| clock.purge_moment(&reading(stopwatch, there, stopwatch)).map(Timestamp::ms);
        assert_eq!(purge(1_000_500, 5_000), Some(1_000_500));
        assert_eq!(purge(1_003_000, 5_000), None);
        // Both on one machine, whose clock is moved.
        node.wall.store(90_000_000, Ordering::SeqCst);
        assert_eq!(purge(90_000_000, 5_000), None);
        assert_eq!(purge(90_599_999, 604_999), None);
        node.stopwatch.store(605_000, Ordering::SeqCst);
        node.wall.store(90_600_000, Ordering::SeqCst);
        assert_eq!(purge(90_600_000, 605_000), Some(90_600_000));
    }
}
