//! Worker: the hashing threads, and their counts.
//!
//! Owns [`Worker`] and [`Counts`]. Must never run at the same priority as the requests: a hash is the longest
//! computation here, and signed-in users come first.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::domain::password::{Hasher, HashingFailed, StoredHash, Verdict};
use crate::domain::{Password, Random};

/// The niceness of the threads above the rest of the process: on a busy core they get a quarter of it, on an idle one
/// all. With more, a neighbour that computes all the time would block every sign-in.
const NICER_BY: i32 = 5;
/// The maximum niceness.
const NICEST: i32 = 19;

/// The counters of the hashing threads.
#[derive(Debug, Default)]
pub(super) struct Counts {
    computed: AtomicU64,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// The counts of the hashing threads since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// Hashes computed.
    pub computed: u64,
    /// The most hashes computed at the same time.
    pub most_at_once: usize,
    /// How many hashes can be computed at the same time.
    pub workers: usize,
    /// How many jobs wait now.
    pub waiting: usize,
}

impl Counts {
    pub(super) fn told(&self, workers: usize, waiting: usize) -> Hashing {
        let (computed, most_at_once) = (self.computed.load(Ordering::SeqCst), self.most_at_once.load(Ordering::SeqCst));
        Hashing { computed, most_at_once, workers, waiting }
    }

    /// Counts one more running hash until the returned guard is dropped.
    fn one_more(&self) -> Running<'_> {
        self.computed.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(running, Ordering::SeqCst);
        Running(self)
    }
}

struct Running<'a>(&'a Counts);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One thread's resources: memory that the first hash allocates and later ones reuse.
pub(super) struct Worker<'a> {
    hasher: Hasher,
    counts: &'a Counts,
}

impl<'a> Worker<'a> {
    /// Call it on the hashing thread itself, which lowers its own priority.
    pub(super) fn new(counts: &'a Counts) -> Self {
        step_back();
        Self { hasher: Hasher::default(), counts }
    }

    pub(super) fn hash(&mut self, password: &Password, random: &dyn Random) -> Result<String, HashingFailed> {
        let _running = self.counts.one_more();
        self.hasher.hash(password, random)
    }

    pub(super) fn verify(
        &mut self,
        password: &Password,
        stored: Option<&str>,
        decoy: Option<&StoredHash>,
    ) -> Result<Verdict, HashingFailed> {
        let _running = self.counts.one_more();
        match stored {
            Some(stored) => self.hasher.verify(password, stored, decoy),
            None => self.hasher.verify_nobody(password, decoy).map(|()| Verdict::Mismatch),
        }
    }
}

/// On Linux niceness is per thread; elsewhere it would be that of the whole process.
#[cfg(target_os = "linux")]
fn step_back() {
    use rustix::process::{getpriority_process, setpriority_process};

    let thread = Some(rustix::thread::gettid());
    let stepped = getpriority_process(thread).and_then(|now| setpriority_process(thread, (now + NICER_BY).min(NICEST)));
    if let Err(error) = stepped {
        log::warn!("passwords are hashed at normal priority: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn step_back() {
    log::debug!("a thread cannot be nicer by {NICER_BY} (at most {NICEST}) than its process here");
}
