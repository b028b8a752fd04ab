//! Lease grace: when this node first saw that another Redis process was retired.
//!
//! Owns the moment from which a node waits out a lease. The database's own time is too early: it was written before the
//! retirement was committed, and a node that read in between trusts the retired process a little longer.

use std::time::Duration;

use parking_lot::Mutex;

use crate::ledger::live_store::FenceStatus;

/// A retirement of this age by the database's clock was committed long ago: no statement runs longer.
const LONG_AGO: Duration = Duration::from_secs(60);

/// The last retirement number that this node saw, and since when on the stopwatch.
#[derive(Default)]
pub(in crate::service) struct LeaseGrace {
    seen: Mutex<Option<(i64, Duration)>>,
}

impl LeaseGrace {
    /// How long a node may still trust processes other than the given ones; none when one of the given ones is not
    /// current.
    pub(in crate::service) fn remaining(
        &self,
        status: FenceStatus,
        lease: Duration,
        now: Duration,
    ) -> Option<Duration> {
        match status {
            FenceStatus::Superseded => None,
            FenceStatus::Always => Some(Duration::ZERO),
            FenceStatus::Since { retired, ago } => {
                let since = self.first_seen(retired, now);
                let over = ago > lease.saturating_add(LONG_AGO);
                Some(if over { Duration::ZERO } else { lease.saturating_sub(now.saturating_sub(since)) })
            }
        }
    }

    fn first_seen(&self, retired: i64, now: Duration) -> Duration {
        let mut seen = self.seen.lock();
        match *seen {
            Some((known, since)) if known == retired => since,
            _ => {
                *seen = Some((retired, now));
                now
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(3);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn since(retired: i64, ago: u64) -> FenceStatus {
        FenceStatus::Since { retired, ago: seconds(ago) }
    }

    #[test]
    fn a_lease_is_waited_out_from_the_first_sighting() {
        let lease_grace = LeaseGrace::default();
        // Written five seconds ago, but perhaps committed just now.
        assert_eq!(lease_grace.remaining(since(7, 5), LEASE, seconds(100)), Some(LEASE));
        assert_eq!(lease_grace.remaining(since(7, 7), LEASE, seconds(102)), Some(seconds(1)));
        assert_eq!(lease_grace.remaining(since(7, 8), LEASE, seconds(103)), Some(Duration::ZERO));
        // Another retirement restarts the wait.
        assert_eq!(lease_grace.remaining(since(8, 0), LEASE, seconds(104)), Some(LEASE));
    }

    #[test]
    fn what_is_long_over_is_not_waited_for() {
        let lease_grace = LeaseGrace::default();
        assert_eq!(lease_grace.remaining(since(7, 64), LEASE, seconds(1)), Some(Duration::ZERO));
        assert_eq!(lease_grace.remaining(FenceStatus::Always, LEASE, seconds(1)), Some(Duration::ZERO));
        assert_eq!(lease_grace.remaining(FenceStatus::Superseded, LEASE, seconds(1)), None);
    }
}
