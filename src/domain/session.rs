//! A session's life: how long it lasts, when it is over, and why it ended.
//!
//! Owns the deadlines and the reasons. Must never read the clock: every rule takes the current time as an argument.
//! Sources: OWASP ASVS 5.0 §7.3, NIST SP 800-63B-4 §5.2.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::{MAX_SKEW, Timestamp};

/// The ledger's last-seen time is never further behind than this.
const MAX_LEDGER_LAG: Duration = Duration::from_secs(60);

/// How long a session may last; fixed when it is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Ends the session when it is unused for this long. Whole seconds.
    pub idle: Duration,
    /// Ends the session this long after sign-in, however busy it is. Whole seconds.
    pub absolute: Duration,
}

/// When a session ends by itself, as far as one reader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// When it was last used.
    pub last_seen: Timestamp,
    /// How long it may stay unused.
    pub idle: Duration,
    /// When it ends even if it is used.
    pub expires: Timestamp,
}

impl Deadlines {
    /// When it ends without further use.
    pub fn idle_expires(&self) -> Timestamp {
        self.last_seen.plus(self.idle).min(self.expires)
    }

    /// The same, last used now at the latest: a wrong clock may have written a time in the future.
    #[must_use]
    pub fn as_of(self, now: Timestamp) -> Self {
        Self { last_seen: self.last_seen.min(now), ..self }
    }

    /// Whether its last use is in the future: such a record must not be trusted.
    pub fn are_yet_to_come(&self, now: Timestamp) -> bool {
        self.last_seen > now.plus(MAX_SKEW)
    }

    /// Whether it is live at `now`. The last-seen time is exact here (read from a record).
    pub fn hold(&self, now: Timestamp) -> bool {
        now < self.idle_expires()
    }

    /// Whether it may be live at `now`, for a reader whose last-seen time can be behind by [`ledger_lag`]: the ledger,
    /// when no record knows better.
    pub fn hold_with_lag(&self, now: Timestamp) -> bool {
        now < self.idle_expires().plus(ledger_lag(self.idle)).min(self.expires)
    }

    /// How long a record of this session is worth keeping at `now`; zero if it is not. The record outlives the idle
    /// deadline by the ledger's lag, so that an idle session's record can still tell since when, and never outlives the
    /// absolute deadline.
    pub fn record_lifetime(&self, now: Timestamp) -> Duration {
        self.idle_expires().plus(ledger_lag(self.idle)).min(self.expires).since(now)
    }
}

/// How far the ledger's last-seen time may be behind: an eighth of the idle timeout, at most a minute.
pub fn ledger_lag(idle: Duration) -> Duration {
    (idle / 8).min(MAX_LEDGER_LAG)
}

/// How old a last-seen time must be before it is written again: the configured resolution, at most a twentieth of the
/// idle timeout, so that the idle deadline is never early by more than that.
pub fn resolution(configured: Duration, idle: Duration) -> Duration {
    configured.min(idle / 20)
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its owner signed out here.
    SignedOut,
    /// Its owner ended it from another session.
    SignedOutElsewhere,
    /// An administrator ended it.
    Revoked,
    /// Its owner changed the password in another session.
    PasswordChanged,
    /// The password was reset with a one-time link.
    PasswordReset,
    /// The account was disabled.
    Disabled,
    /// The account was deleted.
    UserDeleted,
    /// The user's roles changed.
    RolesChanged,
    /// A newer session replaced it because of the session limit.
    Evicted,
    /// Its browser signed in again.
    Replaced,
    /// A browser or system other than the one it is bound to presented it.
    DeviceChanged,
    /// It was unusual, and the operator's policy ends unusual sessions.
    Suspicious,
    /// The ledger was restored from an older copy: whether the session had ended is unknown.
    LedgerRestored,
}

impl EndReason {
    /// The reason's name in the interface and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::SignedOutElsewhere => "signed_out_elsewhere",
            Self::Revoked => "revoked",
            Self::PasswordChanged => "password_changed",
            Self::PasswordReset => "password_reset",
            Self::Disabled => "disabled",
            Self::UserDeleted => "user_deleted",
            Self::RolesChanged => "roles_changed",
            Self::Evicted => "evicted",
            Self::Replaced => "replaced",
            Self::DeviceChanged => "device_changed",
            Self::Suspicious => "suspicious",
            Self::LedgerRestored => "ledger_restored",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn deadlines(last_seen_ms: i64) -> Deadlines {
        Deadlines {
            last_seen: Timestamp::from_ms(last_seen_ms),
            idle: 30 * MINUTE,
            expires: Timestamp::from_ms(43_200_000),
        }
    }

    #[test]
    fn the_idle_deadline_is_exact_for_a_record() {
        let at = deadlines(1_000);
        assert!(at.hold(Timestamp::from_ms(1_800_999)));
        assert!(!at.hold(Timestamp::from_ms(1_801_000)));
    }

    #[test]
    fn the_ledger_is_at_most_a_minute_generous() {
        let at = deadlines(1_000);
        assert!(at.hold_with_lag(Timestamp::from_ms(1_860_999)));
        assert!(!at.hold_with_lag(Timestamp::from_ms(1_861_000)));
    }

    #[test]
    fn nothing_outlives_the_absolute_deadline() {
        let at = deadlines(43_199_000);
        assert!(at.hold(Timestamp::from_ms(43_199_999)));
        assert!(!at.hold_with_lag(Timestamp::from_ms(43_200_000)));
        assert_eq!(at.record_lifetime(Timestamp::from_ms(43_199_000)), Duration::from_secs(1));
        assert_eq!(at.record_lifetime(Timestamp::from_ms(43_200_001)), Duration::ZERO);
    }

    #[test]
    fn short_idle_timeouts_have_a_finer_resolution() {
        assert_eq!(resolution(Duration::from_secs(10), 30 * MINUTE), Duration::from_secs(10));
        assert_eq!(resolution(Duration::from_secs(10), Duration::from_secs(20)), Duration::from_secs(1));
    }
}
