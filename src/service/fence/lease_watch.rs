//! Lease watch: what this node sees of the other nodes' leases, on its own stopwatch.
//!
//! Owns the memory of all readings of one database server. A lease is over when its row stood still for its length, from
//! the return of the first reading that showed it to the sending of the last. Must never use the database's clock, and
//! never judge a row by what another server showed.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::node_lease::LENGTH;
use crate::ledger::node_leases::{LeaseReading, NodeLease};

/// A row that stood still for this long is deleted.
const BURIED_AFTER: Duration = Duration::from_secs(60);

/// What was seen.
#[derive(Default)]
pub(in crate::service) struct LeaseWatch(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    server: Option<Server>,
    /// When the last reading was sent.
    sent: Duration,
    leases: HashMap<String, SeenLease>,
}

struct Server {
    name: String,
    /// When the first reading of it returned.
    since: Duration,
    /// Whether it was watched for as long as a lease, by this node or another.
    watched: bool,
}

struct SeenLease {
    lease: NodeLease,
    /// When the first reading that showed this round returned, and when the last one was sent.
    still: (Duration, Duration),
}

impl SeenLease {
    fn stood_still(&self) -> Duration {
        let (since, until) = self.still;
        until.saturating_sub(since)
    }
}

/// A node that may answer from copies, as the reading showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) struct Holder {
    pub(in crate::service) name: String,
    round: i64,
    server: String,
}

/// Whether a server was watched for long enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) enum Watched {
    /// This one was.
    Server(String),
    /// Not yet: it takes this much longer.
    NotFor(Duration),
}

impl LeaseWatch {
    /// Adds a reading. One that was sent before another one that is known already says nothing new.
    pub(in crate::service) fn note(&self, reading: &LeaseReading, sent: Duration, returned: Duration) {
        let mut seen = self.0.lock();
        if seen.server.as_ref().is_none_or(|server| server.name != reading.server) {
            let server = Server { name: reading.server.clone(), since: returned, watched: reading.watched };
            *seen = Seen { server: Some(server), sent, leases: HashMap::new() };
        } else if sent < seen.sent {
            return;
        }
        seen.sent = sent;
        if let Some(server) = &mut seen.server {
            server.watched |= reading.watched || sent.saturating_sub(server.since) >= LENGTH;
        }
        let mut before = std::mem::take(&mut seen.leases);
        seen.leases = reading
            .leases
            .iter()
            .map(|lease| {
                let known = before.remove(&lease.name).filter(|known| known.lease.round == lease.round);
                let since = known.map_or(returned, |known| known.still.0);
                (lease.name.clone(), SeenLease { lease: lease.clone(), still: (since, sent.max(since)) })
            })
            .collect();
    }

    /// When the last reading was sent.
    pub(in crate::service) fn sent(&self) -> Duration {
        self.0.lock().sent
    }

    /// How long this node has watched the server of the last reading.
    pub(in crate::service) fn age(&self, now: Duration) -> Duration {
        self.0.lock().server.as_ref().map_or(Duration::ZERO, |server| now.saturating_sub(server.since))
    }

    /// Whether the server of the last reading was watched for long enough.
    pub(in crate::service) fn watched(&self, now: Duration) -> Watched {
        match &self.0.lock().server {
            Some(server) if server.watched => Watched::Server(server.name.clone()),
            Some(server) => Watched::NotFor(LENGTH.saturating_sub(now.saturating_sub(server.since))),
            None => Watched::NotFor(LENGTH),
        }
    }

    /// The nodes besides `own` that may answer from copies by this reading, which was noted.
    pub(in crate::service) fn holders(&self, reading: &LeaseReading, own: &str) -> Vec<Holder> {
        let seen = self.0.lock();
        let is_over = |lease: &NodeLease| {
            let known = seen.leases.get(&lease.name).filter(|known| known.lease.round == lease.round);
            seen.is_of(&reading.server) && known.is_some_and(|known| known.stood_still() >= lease.length())
        };
        let holders = reading.leases.iter().filter(|lease| lease.copies && lease.name != own && !is_over(lease));
        holders
            .map(|lease| Holder { name: lease.name.clone(), round: lease.round, server: reading.server.clone() })
            .collect()
    }

    /// Whether this holder has dropped what was pending when it was read, or has no lease for copies any more.
    pub(in crate::service) fn is_settled(&self, holder: &Holder) -> bool {
        let seen = self.0.lock();
        if !seen.is_of(&holder.server) {
            return false;
        }
        match seen.leases.get(&holder.name) {
            // It has left, or its row stood still and was deleted.
            None => true,
            Some(known) if known.lease.round < holder.round => false,
            Some(known) => {
                known.stood_still() >= known.lease.length()
                    || (known.lease.round > holder.round && !known.lease.copies)
                    || known.lease.applied > holder.round
            }
        }
    }

    /// Whether any node besides `own` may answer from copies.
    pub(in crate::service) fn sees_holders(&self, own: &str) -> bool {
        self.0.lock().leases.values().any(|known| known.lease.copies && known.lease.name != own)
    }

    /// Whether there is any lease.
    pub(in crate::service) fn sees_leases(&self) -> bool {
        !self.0.lock().leases.is_empty()
    }

    /// The rows of nodes that are long gone.
    pub(in crate::service) fn buried(&self, own: &str) -> Vec<NodeLease> {
        let seen = self.0.lock();
        let gone = seen.leases.values().filter(|known| known.lease.name != own && known.stood_still() >= BURIED_AFTER);
        gone.map(|known| known.lease.clone()).collect()
    }
}

impl Seen {
    fn is_of(&self, server: &str) -> bool {
        self.server.as_ref().is_some_and(|known| known.name == server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    fn reading(server: &str, leases: &[(i64, i64, bool)]) -> LeaseReading {
        let lease = |(at, (round, applied, copies)): (usize, &(i64, i64, bool))| {
            NodeLease::new(format!("n{at}"), *round, *applied, *copies, LENGTH)
        };
        LeaseReading {
            server: server.to_owned(),
            watched: false,
            leases: leases.iter().enumerate().map(lease).collect(),
        }
    }

    /// A watch that saw these readings, each sent at the first moment and returned at the second.
    fn watch(readings: &[(u64, u64, LeaseReading)]) -> LeaseWatch {
        let watch = LeaseWatch::default();
        readings.iter().for_each(|(sent, returned, reading)| watch.note(reading, at(*sent), at(*returned)));
        watch
    }

    #[test]
    fn a_lease_is_over_when_its_row_stood_still_from_the_first_return_to_the_last_sending() {
        let still = || reading("s", &[(7, 0, true)]);
        for (last, over) in [(34, false), (35, true)] {
            let watch = watch(&[(0, 5, still()), (last, 60, still())]);
            assert_eq!(watch.holders(&still(), "").is_empty(), over, "sent at {last}");
        }
        let watch =
            watch(&[(0, 5, still()), (20, 25, reading("s", &[(8, 0, true)])), (35, 36, reading("s", &[(8, 0, true)]))]);
        assert_eq!(watch.holders(&reading("s", &[(8, 0, true)]), "").len(), 1, "it was renewed in between");
    }

    #[test]
    fn what_another_server_showed_counts_for_nothing() {
        let still = |server| reading(server, &[(7, 0, true)]);
        let watch = watch(&[(0, 1, still("s")), (40, 41, still("t"))]);
        let [holder] = &watch.holders(&still("t"), "")[..] else { panic!("it stood still on another server") };
        assert!(!watch.is_settled(holder));
        watch.note(&reading("s", &[]), at(42), at(43));
        assert!(!watch.is_settled(holder), "gone from another server");
    }

    #[test]
    fn a_holder_is_settled_by_what_it_applied_by_its_release_and_by_its_end() {
        for (now, settled) in [
            (&[(7, 6, true)][..], false),
            (&[(8, 6, true)], false),
            (&[(8, 7, true)], false),
            (&[(9, 8, true)], true),
            (&[(8, 6, false)], true),
            (&[(6, 6, false)], false),
            (&[], true),
        ] {
            let first = reading("s", &[(7, 6, true)]);
            let watch = watch(&[(0, 1, first.clone())]);
            let [holder] = &watch.holders(&first, "n1")[..] else { panic!("it holds copies") };
            watch.note(&reading("s", now), at(2), at(3));
            assert_eq!(watch.is_settled(holder), settled, "{now:?}");
        }
    }

    #[test]
    fn a_node_without_copies_and_the_node_itself_are_no_holders() {
        let reading = reading("s", &[(1, 0, true), (1, 0, false), (1, 0, true)]);
        let watch = watch(&[(0, 1, reading.clone())]);
        let names: Vec<_> = watch.holders(&reading, "n0").into_iter().map(|holder| holder.name).collect();
        assert_eq!(names, ["n2"]);
        assert!(watch.sees_holders("n0"));
    }

    #[test]
    fn a_server_is_watched_after_the_length_of_a_lease_or_on_another_nodes_word() {
        let nobody = || reading("s", &[]);
        let seen = watch(&[(0, 5, nobody()), (34, 35, nobody())]);
        assert_eq!(seen.watched(at(35)), Watched::NotFor(Duration::ZERO));
        seen.note(&nobody(), at(35), at(36));
        assert_eq!(seen.watched(at(36)), Watched::Server("s".to_owned()));
        seen.note(&reading("t", &[]), at(37), at(38));
        assert_eq!(seen.watched(at(40)), Watched::NotFor(at(28)));
        seen.note(&LeaseReading { watched: true, ..reading("t", &[]) }, at(41), at(42));
        assert_eq!(seen.watched(at(42)), Watched::Server("t".to_owned()));
    }

    #[test]
    fn an_older_reading_that_arrives_late_changes_nothing() {
        let watch = watch(&[(5, 6, reading("s", &[(8, 0, true)])), (3, 9, reading("s", &[(7, 0, true)]))]);
        assert_eq!(watch.holders(&reading("s", &[(8, 0, true)]), "").len(), 1);
        assert_eq!(watch.sent(), at(5));
    }

    #[test]
    fn a_row_that_stood_still_for_a_minute_is_to_be_deleted() {
        let still = || reading("s", &[(7, 0, true), (7, 0, true)]);
        let watch = watch(&[(0, 0, still()), (600, 600, still())]);
        assert_eq!(watch.buried("n0").iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["n1"]);
    }
}
