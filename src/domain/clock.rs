//! Time: the only source of the current time in this crate.
//!
//! Owns [`Timestamp`] and the [`Clock`] that returns it. No other file may call the operating system's clock, so tests
//! can move a [`MovableClock`] by hand and check deadlines exactly.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// A moment in milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `ms` milliseconds after the epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This moment moved into the future; saturates instead of wrapping.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This moment moved into the past; saturates instead of wrapping.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339, UTC, with milliseconds: `2026-11-22T07:04:42.123Z`.
    pub fn to_rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

impl From<i64> for Timestamp {
    fn from(ms: i64) -> Self {
        Self(ms)
    }
}

impl From<Timestamp> for i64 {
    fn from(moment: Timestamp) -> Self {
        moment.0
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

/// Whole milliseconds of a duration, as a signed number.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A wall clock and a stopwatch.
pub trait Clock: Send + Sync {
    /// The current time, which decides deadlines.
    fn now(&self) -> Timestamp;

    /// The time on this machine's own wall clock, for comparison with other machines' clocks.
    fn wall(&self) -> Timestamp {
        self.now()
    }

    /// A moment that another machine's clock showed, shifted by a test's time travel; otherwise unchanged.
    fn travel(&self, moment: Timestamp) -> Timestamp {
        moment
    }

    /// Time since a fixed moment of this process; never goes back, even if the wall clock does.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Duration,
}

/// A stopwatch that also counts the time while the machine sleeps: what others waited out must be over here, too.
#[cfg(target_os = "linux")]
fn stopwatch() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Elsewhere the stopwatch may stand still while the machine sleeps.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
fn stopwatch() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

impl SystemClock {
    /// Starts the stopwatch.
    pub fn new() -> Self {
        Self { start: stopwatch() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp(since_epoch.map_or(0, millis))
    }

    fn monotonic(&self) -> Duration {
        stopwatch().saturating_sub(self.start)
    }
}

/// The system's clock, moved by hand in tests. The stopwatch stays real.
#[derive(Debug, Default)]
pub struct MovableClock {
    system: SystemClock,
    travelled_ms: AtomicI64,
    wrong_by_ms: AtomicI64,
}

impl MovableClock {
    /// Lets time pass, for this node and for all services it asks.
    pub fn advance(&self, by: Duration) {
        self.travelled_ms.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Goes back in time, for this node and for all services it asks.
    pub fn rewind(&self, by: Duration) {
        self.travelled_ms.fetch_sub(millis(by), Ordering::SeqCst);
    }

    /// Sets this node's own clock ahead of the others by this much, or behind.
    pub fn set_wrong_by(&self, ms: i64) {
        self.wrong_by_ms.store(ms, Ordering::SeqCst);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        self.travel(self.wall())
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.system.now().0.saturating_add(self.wrong_by_ms.load(Ordering::SeqCst)))
    }

    fn travel(&self, moment: Timestamp) -> Timestamp {
        Timestamp(moment.0.saturating_add(self.travelled_ms.load(Ordering::SeqCst)))
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_ms(1_795_331_082_007).to_rfc3339(), "2026-11-22T07:04:42.007Z");
    }

    #[test]
    fn time_never_wraps() {
        let end = Timestamp::from_ms(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(Timestamp::from_ms(5).since(Timestamp::from_ms(9)), Duration::ZERO);
    }
}
