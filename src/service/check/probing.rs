//! Probing: many different tokens from one address that open no session.
//!
//! Owns the count of them, on this node, in a table of a fixed size. A token that opens a session is never counted and
//! never asked about. One dead token that is shown again and again is a browser that was left open, and counts once a
//! minute. Must never keep a token, not even its hash.

use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::Timestamp;
use crate::domain::throttle::Window;

/// Different unknown tokens of an address in a minute that are not reported: as many sessions as end at once in a large
/// office.
pub(in crate::service) const WINDOW: Window = Window { limit: 100, length: Duration::from_secs(60) };

/// Addresses that are counted at once, in about half a megabyte.
const PROBERS: usize = 4_096;

/// The last tokens of an address that are recognised: a token that comes again after this many others counts again.
const KNOWN: usize = 8;

#[derive(Clone, Copy, Default)]
struct Prober {
    /// Which address, and in which minute.
    whose: Option<(IpAddr, i64)>,
    count: u32,
    known: [u64; KNOWN],
}

/// Addresses and what they showed.
pub(in crate::service) struct Probing {
    probers: Mutex<Vec<Prober>>,
}

impl Default for Probing {
    fn default() -> Self {
        Self { probers: Mutex::new(Vec::new()) }
    }
}

/// How one more unknown token is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Report {
    /// Not at all: it was shown before, or there were few.
    Nothing,
    /// As the first above the limit.
    First,
    /// As one more.
    More,
}

impl Probing {
    /// Counts one more token of an address, unless it is one of the last that were.
    pub(in crate::service) fn note(&self, subscriber: IpAddr, fingerprint: u64, now: Timestamp) -> Report {
        let minute = WINDOW.number(now);
        let mut probers = self.probers.lock();
        // Allocated late: most nodes never need it.
        if probers.is_empty() {
            probers.resize(PROBERS, Prober::default());
        }
        let Some(prober) = prober_of(&mut probers, subscriber, minute) else { return Report::Nothing };
        if prober.whose != Some((subscriber, minute)) {
            *prober = Prober { whose: Some((subscriber, minute)), ..Prober::default() };
        }
        let again =
            prober.known.iter().take(usize::try_from(prober.count).unwrap_or(KNOWN)).any(|it| *it == fingerprint);
        if again {
            return Report::Nothing;
        }
        prober.known.rotate_right(1);
        let [latest, ..] = &mut prober.known;
        *latest = fingerprint;
        prober.count = prober.count.saturating_add(1);
        match prober.count.saturating_sub(WINDOW.limit) {
            0 => Report::Nothing,
            1 => Report::First,
            _ => Report::More,
        }
    }
}

/// The address' own entry, or the least valuable of the few that it may take.
fn prober_of(probers: &mut [Prober], subscriber: IpAddr, minute: i64) -> Option<&mut Prober> {
    const WAYS: usize = 8;
    let sets = probers.len() / WAYS;
    let start = spread(subscriber).checked_rem(sets)?.checked_mul(WAYS)?;
    let set = probers.get_mut(start..start.checked_add(WAYS)?)?;
    let cost = |prober: &Prober| match prober.whose {
        Some((address, then)) if then == minute && address == subscriber => None,
        Some((_, then)) if then == minute => Some(prober.count),
        _ => Some(0),
    };
    set.iter_mut().min_by_key(|prober| cost(prober))
}

/// Spreads addresses over the table. An attacker who picks colliding addresses only loses a count.
fn spread(subscriber: IpAddr) -> usize {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    subscriber.hash(&mut hasher);
    usize::try_from(hasher.finish() >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_ms(0).plus(Duration::from_secs(seconds))
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn different_tokens_are_counted_and_one_that_comes_again_is_not() {
        let probing = Probing::default();
        for _ in 0..10_000 {
            for token in 0..4 {
                assert_eq!(probing.note(address(1), token, at(1)), Report::Nothing);
            }
        }
        for token in 4..100 {
            assert_eq!(probing.note(address(1), token, at(2)), Report::Nothing);
        }
        assert_eq!(probing.note(address(1), 100, at(3)), Report::First);
        assert_eq!(probing.note(address(1), 100, at(3)), Report::Nothing, "again");
        assert_eq!(probing.note(address(1), 101, at(59)), Report::More);
        assert_eq!(probing.note(address(2), 101, at(59)), Report::Nothing, "another address");
        assert_eq!(probing.note(address(1), 102, at(60)), Report::Nothing, "the next minute");
    }

    #[test]
    fn l_28_ten_thousand_are_one_report_and_all_of_them_are_counted() {
        let probing = Probing::default();
        let reports: Vec<_> = (0..10_000).map(|token| probing.note(address(1), token, at(1))).collect();
        let of = |report| reports.iter().filter(|it| **it == report).count();
        assert_eq!((of(Report::Nothing), of(Report::First), of(Report::More)), (100, 1, 9_899));
    }

    #[test]
    fn a_token_that_hashes_to_zero_counts_too() {
        let probing = Probing::default();
        probing.note(address(1), 0, at(1));
        for token in 1..100 {
            assert_eq!(probing.note(address(1), token, at(1)), Report::Nothing);
        }
        assert_eq!(probing.note(address(1), 100, at(1)), Report::First);
    }

    /// A million with SESSIOND_TEST_SOAK.
    fn names() -> u32 {
        if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000_000 } else { 100_000 }
    }

    #[test]
    fn v_06_tokens_from_any_number_of_addresses_take_no_more_room() {
        let probing = Probing::default();
        for token in 0..=100 {
            probing.note(address(7), token, at(1));
        }
        for number in 0..names() {
            probing.note(address(0x0A00_0000 + number), 1, at(1));
        }
        let probers = probing.probers.lock().len();
        println!("{} addresses: {probers} entries", names());
        assert_eq!(probers, PROBERS);
        assert_eq!(probing.note(address(7), 200, at(2)), Report::More, "still counted");
    }
}
