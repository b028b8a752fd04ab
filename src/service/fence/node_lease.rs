//! Node lease: until when this node may answer from the ledger, and from copies in its memory.
//!
//! Owns the state between two renewals, under one lock. A lapse is judged here, where an answer is applied, and never by
//! the row: if this node's own lease for copies does not run at that moment, a new epoch begins, and every copy and
//! every fill under way is void. Must never extend a lease by an answer that came too late.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::drop_marks::DropMarks;
use crate::domain::{Random, TokenHash, random};
use crate::ledger::node_leases::NodeLease as Row;

/// How long other nodes take a lease for running after they saw its row change.
pub(in crate::service) const LENGTH: Duration = Duration::from_secs(3);
/// How long the node itself uses it, from before it asked: less, because two stopwatches differ.
pub(in crate::service) const TERM: Duration = Duration::from_secs(2);
/// How old the last message that this node sent to itself may be.
const HEARD: Duration = Duration::from_secs(1);

/// What a fill begins with, and its copy counts under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::service) struct Mark {
    /// How often copies like this one were dropped.
    drops: u32,
    /// How often all copies became void.
    epoch: u32,
}

/// The lease of this node.
pub(in crate::service) struct NodeLease {
    /// None: this node keeps no copies.
    marks: Option<DropMarks>,
    /// Until when copies may be used, in milliseconds of the stopwatch; zero: not at all.
    copies_until: AtomicU64,
    epoch: AtomicU32,
    /// When a message of this node last came back to it, in milliseconds of the stopwatch; zero: never.
    heard: AtomicU64,
    /// Whether the node has served for long enough to keep copies.
    is_settled: AtomicBool,
    attempts: Mutex<Attempts>,
}

/// What is known of the row.
struct Attempts {
    name: String,
    is_added: bool,
    round: i64,
    applied: i64,
    /// The server that granted the running lease.
    server: Option<String>,
    /// How often the node stopped to use copies.
    stops: u64,
}

/// An attempt to renew.
#[derive(Clone)]
pub(in crate::service) struct Attempt {
    pub(in crate::service) row: Row,
    /// Whether the row is a new one.
    pub(in crate::service) is_first: bool,
    /// The stopwatch before the question.
    pub(in crate::service) asked: Duration,
    stops: u64,
}

/// The answer to an attempt.
pub(in crate::service) struct Grant {
    /// The server that granted it.
    pub(in crate::service) server: String,
    /// The token hashes whose invalidation is pending; none when there are too many to read.
    pub(in crate::service) pending: Option<Vec<TokenHash>>,
}

impl NodeLease {
    /// No lease yet.
    pub(in crate::service) fn new(keeps_copies: bool, random: &dyn Random) -> Self {
        let attempts =
            Attempts { name: fresh_name(random), is_added: false, round: 0, applied: 0, server: None, stops: 0 };
        Self {
            marks: keeps_copies.then(DropMarks::default),
            copies_until: AtomicU64::new(0),
            epoch: AtomicU32::new(0),
            heard: AtomicU64::new(0),
            is_settled: AtomicBool::new(false),
            attempts: Mutex::new(attempts),
        }
    }

    /// Whether this node keeps copies at all.
    pub(in crate::service) fn keeps_copies(&self) -> bool {
        self.marks.is_some()
    }

    /// The node has served for long enough to keep copies, or not yet.
    pub(in crate::service) fn set_should_copy(&self, is_settled: bool) {
        self.is_settled.store(is_settled, Ordering::SeqCst);
    }

    /// Whether this node should keep copies now.
    pub(in crate::service) fn should_copy(&self) -> bool {
        self.keeps_copies() && self.is_settled.load(Ordering::SeqCst)
    }

    /// The name of this node's row.
    pub(in crate::service) fn name(&self) -> String {
        self.attempts.lock().name.clone()
    }

    /// The mark for a fill that is about to read; none while no copy may be used.
    pub(in crate::service) fn begin(&self, hash: &TokenHash, now: Duration) -> Option<Mark> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        let drops = self.marks.as_ref()?.of(hash);
        self.runs(now).then_some(Mark { drops, epoch })
    }

    /// Whether a copy that was made under this mark may be used.
    pub(in crate::service) fn admits(&self, hash: &TokenHash, mark: Mark, now: Duration) -> bool {
        self.runs(now)
            && self.epoch.load(Ordering::SeqCst) == mark.epoch
            && self.marks.as_ref().is_some_and(|marks| marks.of(hash) == mark.drops)
    }

    /// Whether copies may be used when the stopwatch shows `now`.
    pub(in crate::service) fn runs(&self, now: Duration) -> bool {
        ms(now) < self.copies_until.load(Ordering::SeqCst)
    }

    /// Drops every copy of these tokens, and every fill of them that has begun.
    pub(in crate::service) fn drop_copies<'a>(&self, hashes: impl IntoIterator<Item = &'a TokenHash>) {
        if let Some(marks) = &self.marks {
            hashes.into_iter().for_each(|hash| marks.drop_copies(hash));
        }
    }

    /// Stops to use copies, until another grant.
    pub(in crate::service) fn stop_copies(&self) {
        let mut attempts = self.attempts.lock();
        attempts.stops += 1;
        self.void();
        self.copies_until.store(0, Ordering::SeqCst);
    }

    fn void(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// A message of this node came back to it.
    pub(in crate::service) fn hear(&self, now: Duration) {
        self.heard.store(ms(now).max(1), Ordering::SeqCst);
    }

    /// This node's messages do not come back to it any more.
    pub(in crate::service) fn set_deaf(&self) {
        self.heard.store(0, Ordering::SeqCst);
        self.stop_copies();
    }

    /// Whether another node's message would reach this one.
    pub(in crate::service) fn hears(&self, now: Duration) -> bool {
        let heard = self.heard.load(Ordering::SeqCst);
        heard != 0 && ms(now).saturating_sub(heard) <= ms(HEARD)
    }

    /// The next attempt. Without `copies`, the node stops to use them before the row says so.
    pub(in crate::service) fn attempt(&self, copies: bool, now: Duration) -> Attempt {
        if !copies {
            self.stop_copies();
        }
        let mut attempts = self.attempts.lock();
        attempts.round += 1;
        let row = Row::new(attempts.name.clone(), attempts.round, attempts.applied, copies, LENGTH);
        Attempt { row, is_first: !attempts.is_added, asked: now, stops: attempts.stops }
    }

    /// Applies the answer: drops what is pending, and only then extends the lease. False when it came too late.
    pub(in crate::service) fn apply(&self, attempt: &Attempt, grant: &Grant, now: Duration) -> bool {
        let mut attempts = self.attempts.lock();
        attempts.is_added = true;
        let until = attempt.asked.saturating_add(TERM);
        if now >= until {
            return false;
        }
        let goes_on = self.runs(now) && attempts.server.as_deref() == Some(&grant.server);
        match &grant.pending {
            Some(pending) if goes_on => self.drop_copies(pending),
            _ => self.void(),
        }
        attempts.applied = attempt.row.round;
        attempts.server = Some(grant.server.clone());
        // Not if the node had to stop since it asked.
        let is_granted = attempt.row.copies && attempt.stops == attempts.stops;
        // Rounded down: earlier is safe.
        self.copies_until.store(if is_granted { ms(until) } else { 0 }, Ordering::SeqCst);
        true
    }

    /// The row is gone, or nobody knows whether it is there: begins anew under another name.
    pub(in crate::service) fn begin_anew(&self, random: &dyn Random) {
        self.stop_copies();
        let mut attempts = self.attempts.lock();
        (attempts.name, attempts.is_added) = (fresh_name(random), false);
    }
}

fn fresh_name(random: &dyn Random) -> String {
    format!("{:016x}", u64::from_be_bytes(random::bytes(random)))
}

fn ms(moment: Duration) -> u64 {
    u64::try_from(moment.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SystemRandom, Token};

    const SECOND: Duration = Duration::from_secs(1);

    fn lease() -> NodeLease {
        NodeLease::new(true, &SystemRandom)
    }

    fn grant(pending: &[TokenHash]) -> Grant {
        Grant { server: "s".to_owned(), pending: Some(pending.to_vec()) }
    }

    fn hash() -> TokenHash {
        Token::generate(&SystemRandom).hash()
    }

    /// A lease that was granted for copies at this moment, and the mark of a fill under it.
    fn running(at: Duration, hash: &TokenHash) -> (NodeLease, Mark) {
        let lease = lease();
        assert!(lease.apply(&lease.attempt(true, at), &grant(&[]), at));
        let begun = lease.begin(hash, at).expect("it runs");
        (lease, begun)
    }

    #[test]
    fn a_copy_lives_through_a_renewal_and_not_through_a_lapse() {
        let hash = hash();
        for (asked, lives) in [(6 * SECOND, true), (7 * SECOND, false)] {
            let (lease, begun) = running(5 * SECOND, &hash);
            assert!(lease.apply(&lease.attempt(true, asked), &grant(&[]), asked));
            assert_eq!(lease.admits(&hash, begun, asked), lives, "asked at {asked:?}");
        }
    }

    #[test]
    fn an_answer_that_comes_too_late_extends_nothing_and_the_next_one_finds_the_lapse() {
        let hash = hash();
        let (lease, begun) = running(5 * SECOND, &hash);
        let late = lease.attempt(true, 6 * SECOND);
        assert!(!lease.apply(&late, &grant(&[]), 8 * SECOND), "two seconds after it was asked");
        assert!(!lease.admits(&hash, begun, 8 * SECOND));
        assert!(lease.apply(&lease.attempt(true, 8 * SECOND), &grant(&[]), 8 * SECOND));
        assert!(!lease.admits(&hash, begun, 8 * SECOND), "the copies of before are void");
    }

    #[test]
    fn what_is_pending_is_dropped_and_so_is_everything_when_it_is_too_much_or_another_server_grants() {
        let (one, other) = (hash(), hash());
        let too_many = Grant { pending: None, ..grant(&[]) };
        let elsewhere = Grant { server: "t".to_owned(), ..grant(&[]) };
        for (grant, lives) in [(grant(&[one]), [false, true]), (too_many, [false; 2]), (elsewhere, [false; 2])] {
            let (lease, begun) = running(5 * SECOND, &one);
            let begun = [begun, lease.begin(&other, 5 * SECOND).expect("it runs")];
            assert!(lease.apply(&lease.attempt(true, 6 * SECOND), &grant, 6 * SECOND));
            let [for_one, for_other] = begun;
            let admitted = [(one, for_one), (other, for_other)].map(|(hash, it)| lease.admits(&hash, it, 6 * SECOND));
            assert_eq!(admitted, lives);
        }
    }

    #[test]
    fn a_node_that_asks_without_copies_uses_none_from_then_on() {
        let hash = hash();
        let (lease, begun) = running(5 * SECOND, &hash);
        let released = lease.attempt(false, 6 * SECOND);
        assert!(!lease.admits(&hash, begun, 6 * SECOND), "before the row says so");
        assert!(lease.apply(&released, &grant(&[]), 6 * SECOND));
        assert!(lease.begin(&hash, 6 * SECOND).is_none());
        assert!(lease.apply(&lease.attempt(true, 6 * SECOND), &grant(&[]), 6 * SECOND));
        assert!(!lease.admits(&hash, begun, 6 * SECOND), "the copies of before are void");
    }

    #[test]
    fn a_grant_that_was_asked_for_before_a_stop_is_not_used() {
        let lease = lease();
        let attempt = lease.attempt(true, SECOND);
        lease.set_deaf();
        assert!(lease.apply(&attempt, &grant(&[]), SECOND));
        assert!(!lease.runs(SECOND));
    }

    #[test]
    fn a_drop_voids_a_fill_that_has_begun() {
        let hash = hash();
        let (lease, begun) = running(5 * SECOND, &hash);
        lease.drop_copies([&hash]);
        assert!(!lease.admits(&hash, begun, 5 * SECOND));
    }

    #[test]
    fn attempts_are_numbered_and_each_says_what_was_applied_before() {
        let lease = lease();
        let first = lease.attempt(false, SECOND);
        let second = lease.attempt(false, SECOND);
        assert!(lease.apply(&second, &grant(&[]), SECOND));
        let third = lease.attempt(false, SECOND);
        let numbers = [&first, &second, &third].map(|it| (it.row.round, it.row.applied, it.is_first));
        assert_eq!(numbers, [(1, 0, true), (2, 0, true), (3, 2, false)]);
    }

    #[test]
    fn a_node_hears_for_a_second_after_its_own_message() {
        let lease = lease();
        assert!(!lease.hears(Duration::ZERO), "not before the first");
        lease.hear(5 * SECOND);
        assert!(lease.hears(6 * SECOND) && !lease.hears(6 * SECOND + Duration::from_millis(1)));
        lease.set_deaf();
        assert!(!lease.hears(5 * SECOND));
    }
}
