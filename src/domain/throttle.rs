//! Throttling: how often a password may be guessed.
//!
//! Owns the limits. Wrong passwords of an account ([`Backoff`]): some are free, each further one doubles the wait, and
//! [`HARD_STOP`] in a row stop all guessing. Everything else ([`Counts`]) has a limit in a span of time ([`Window`]):
//! for an account, and for an address, with a multiple of it for the networks around the address ([`networks`]). Must
//! never know whether an account exists: the same numbers hold for every typed text.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::Timestamp;

/// Failures in a row after which no further guess is allowed (NIST SP 800-63B §3.2.2).
pub const HARD_STOP: u32 = 100;

/// The longest wait between two guesses.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Doublings after which the longest wait is certainly reached.
const DOUBLINGS: u32 = 12;

/// How long the hard stop is remembered: the longest life of our cookies.
const STOP_MEMORY: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The number of failures in a row, and the time of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCount {
    /// Failures, including attempts in progress.
    pub count: u32,
    /// When the last of them began; meaningless without failures.
    pub last: Option<Timestamp>,
}

/// Whether one more attempt is allowed, the most permissive first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permit {
    /// Allowed.
    Go,
    /// Allowed after this time.
    Wait(Duration),
    /// Not allowed until a password reset.
    Stopped,
}

/// The limit of an account, or of one of its owner's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Failures without a wait.
    pub free: u32,
}

impl Backoff {
    /// The rule of an account and of a device: 5 free, then 1 s, 2 s, 4 s … 1 h.
    pub const RULE: Self = Self { free: 5 };
    /// The rule for all devices of an account together, however many cookies an attacker has collected.
    pub const DEVICES: Self = Self { free: 20 };

    /// The limit of one node's own count while Redis counts for all nodes: it holds if Redis forgets, and is loose
    /// enough for a node that missed a success elsewhere.
    pub fn ceiling(self) -> Self {
        Self { free: self.free.saturating_mul(3) }
    }

    /// The limit of one node while Redis does not answer, since an attacker may use the other nodes too.
    pub fn alone(self) -> Self {
        Self { free: self.free.saturating_mul(2) / 5 }
    }

    /// Whether an attempt is allowed now, after these failures.
    pub fn judge(self, attempts: AttemptCount, now: Timestamp) -> Permit {
        let Some(last) = attempts.last.filter(|_| attempts.count > 0) else { return Permit::Go };
        if attempts.count >= HARD_STOP {
            return Permit::Stopped;
        }
        let delay = self.delay(attempts.count);
        // If the clock was set back, the wait is still no longer than the rule says.
        let wait = last.plus(delay).since(now).min(delay);
        if wait.is_zero() { Permit::Go } else { Permit::Wait(wait) }
    }

    /// The wait after this many failures.
    pub fn delay(self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs(1 << over.min(DOUBLINGS)).min(LONGEST_WAIT),
        }
    }
}

/// The time after which one failure is forgotten.
pub const ONE_FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// How long failures are remembered after the last one: a day for each. An attacker who waits until they are forgotten,
/// and so never reaches the hard stop, gets one guess a day.
pub fn memory(failures: u32) -> Duration {
    if failures >= HARD_STOP { STOP_MEMORY } else { ONE_FORGOTTEN.saturating_mul(failures.max(1)) }
}

/// A limit for each span of time, counted from the span's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Most in one span.
    pub limit: u32,
    /// The span's length.
    pub length: Duration,
}

impl Window {
    /// The number of the span that contains this moment.
    pub fn number(self, now: Timestamp) -> i64 {
        now.ms().div_euclid(self.length_ms())
    }

    /// The time until the next span.
    pub fn rest(self, now: Timestamp) -> Duration {
        let over = now.ms().rem_euclid(self.length_ms());
        Duration::from_millis(u64::try_from(self.length_ms().saturating_sub(over)).unwrap_or(0))
    }

    fn length_ms(self) -> i64 {
        i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX).max(1)
    }
}

/// The unit that counts as one address: an IPv4 address, or the IPv6 /64 of one subscriber. An IPv4-mapped address is
/// the IPv4 address.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What is counted in spans of time, each separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Wrong passwords.
    Guesses,
    /// Accounts that were registered, or were found to exist.
    Registrations,
    /// Right passwords: each costs a session or a new token, and lines of the audit log.
    Proofs,
    /// Right passwords in one live session: no request from outside can use them up.
    SessionProofs,
    /// Right passwords at sign-in on known devices.
    DeviceProofs,
    /// New passwords that were judged.
    Choices,
    /// Changes to an account without a password: the name, and ending sessions where there are none.
    Changes,
    /// Sessions that a service had issued to all of its users.
    Issues,
    /// A service's requests to administrators' routes.
    Administration,
}

/// The usual span.
pub const TEN_MINUTES: Duration = Duration::from_secs(600);
/// The longest span.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Counts {
    /// An address may have this many times the operator's limit.
    pub fn share_of_address(self) -> u32 {
        match self {
            Self::Guesses | Self::Registrations => 1,
            Self::Choices => 3,
            // Enough for a whole office at nine o'clock.
            Self::Proofs
            | Self::SessionProofs
            | Self::DeviceProofs
            | Self::Changes
            | Self::Issues
            | Self::Administration => 20,
        }
    }

    /// The limits of an account, a session or a device; wrong passwords have another limit.
    pub fn of_account(self) -> &'static [Window] {
        const PROOFS: [Window; 2] = [Window { limit: 60, length: TEN_MINUTES }, Window { limit: 1_000, length: DAY }];
        // A hundred a second: a service that sends more has a loop, or a thief.
        const ISSUES: [Window; 1] = [Window { limit: 60_000, length: TEN_MINUTES }];
        // Ten a second: the searches are dear, and each change is a line.
        const ADMINISTRATION: [Window; 1] = [Window { limit: 6_000, length: TEN_MINUTES }];
        const CHOICES: [Window; 1] = [Window { limit: 20, length: TEN_MINUTES }];
        match self {
            Self::Guesses | Self::Registrations => &[],
            Self::Proofs | Self::SessionProofs | Self::DeviceProofs | Self::Changes => &PROOFS,
            Self::Choices => &CHOICES,
            Self::Issues => &ISSUES,
            Self::Administration => &ADMINISTRATION,
        }
    }

    /// Its name among the counters.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Guesses => "network",
            Self::Registrations => "registrations",
            Self::Proofs => "proofs",
            Self::SessionProofs => "session proofs",
            Self::DeviceProofs => "device proofs",
            Self::Choices => "choices",
            Self::Changes => "changes",
            Self::Issues => "issues",
            Self::Administration => "administration",
        }
    }
}

/// A network that shares a count of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub first: IpAddr,
    /// The prefix length of its addresses.
    pub prefix: u8,
    /// It may have this many times the failures of one subscriber.
    pub share: u32,
}

/// The networks around an IPv6 address: providers give their customers a /56 or a /48, which hold 256 and 65 536 times
/// the unit that counts as one address.
const AROUND: [(u8, u32); 3] = [(64, 1), (56, 4), (48, 16)];

/// The networks in which a failure from this address counts, the [`subscriber`] first.
pub fn networks(address: IpAddr) -> Vec<Network> {
    match address.to_canonical() {
        IpAddr::V4(_) => vec![Network { first: subscriber(address), prefix: 32, share: 1 }],
        IpAddr::V6(address) => AROUND
            .iter()
            .map(|&(prefix, share)| {
                let mask = u128::MAX << (128 - u32::from(prefix));
                Network { first: Ipv6Addr::from_bits(address.to_bits() & mask).into(), prefix, share }
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(count: u32) -> AttemptCount {
        AttemptCount { count, last: Some(Timestamp::from_ms(0)) }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// L-21, the exact sequence.
    #[test]
    fn l_21_five_are_free_then_the_wait_doubles_up_to_an_hour_and_a_hundred_is_the_end() {
        let waits: Vec<u64> = (0..=18).map(|count| Backoff::RULE.delay(count).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 3_600]);
        let now = Timestamp::from_ms(0);
        assert_eq!(Backoff::RULE.judge(AttemptCount::default(), now), Permit::Go);
        assert_eq!(Backoff::RULE.judge(after(4), now), Permit::Go);
        assert_eq!(Backoff::RULE.judge(after(5), now), Permit::Wait(seconds(1)));
        assert_eq!(Backoff::RULE.judge(after(5), Timestamp::from_ms(999)), Permit::Wait(Duration::from_millis(1)));
        assert_eq!(Backoff::RULE.judge(after(5), Timestamp::from_ms(1_000)), Permit::Go);
        assert_eq!(Backoff::RULE.judge(after(99), now), Permit::Wait(LONGEST_WAIT));
        assert_eq!(Backoff::RULE.judge(after(99), now.plus(LONGEST_WAIT)), Permit::Go);
        assert_eq!(Backoff::RULE.judge(after(100), now.plus(LONGEST_WAIT * 24)), Permit::Stopped);
        assert_eq!(Backoff::RULE.judge(after(u32::MAX), now), Permit::Stopped);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait_for_longer() {
        assert_eq!(Backoff::RULE.judge(after(6), Timestamp::from_ms(-1_000_000)), Permit::Wait(seconds(2)));
    }

    #[test]
    fn what_is_forgotten_is_worth_no_more_guesses_than_waiting() {
        for failures in 1..HARD_STOP {
            assert!(memory(failures) >= ONE_FORGOTTEN * failures);
            assert!(memory(failures) >= Backoff::RULE.delay(failures));
        }
        assert!(memory(HARD_STOP) > LONGEST_WAIT * 24 * 365);
    }

    #[test]
    fn a_window_ends_where_the_next_begins() {
        let window = Window { limit: 1, length: seconds(600) };
        let number = |ms| window.number(Timestamp::from_ms(ms));
        assert_eq!((number(0), number(599_999), number(600_000), number(-1)), (0, 0, 1, -1));
        assert_eq!(window.rest(Timestamp::from_ms(599_999)), Duration::from_millis(1));
        assert_eq!(window.rest(Timestamp::from_ms(600_000)), seconds(600));
    }

    #[test]
    fn i_07_an_ipv6_address_is_in_three_networks_and_an_ipv4_one_in_its_own() {
        let of = |text: &str| -> Vec<_> {
            let networks = networks(text.parse().unwrap());
            networks.iter().map(|it| format!("{}/{} x{}", it.first, it.prefix, it.share)).collect()
        };
        let around = ["2001:db8:1:abcd::/64 x1", "2001:db8:1:ab00::/56 x4", "2001:db8:1::/48 x16"];
        assert_eq!(of("2001:db8:1:abcd:3:4:5:6"), around);
        assert_eq!(of("::ffff:192.0.2.7"), ["192.0.2.7/32 x1"]);
    }

    /// I-06 and I-07.
    #[test]
    fn i_07_an_ipv6_subscriber_is_a_64_and_a_mapped_address_is_ipv4() {
        let of = |text: &str| subscriber(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2:ffff::1"), of("2001:DB8:1:2::"));
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_ne!(of("192.0.2.8"), of("192.0.2.7"));
    }
}
