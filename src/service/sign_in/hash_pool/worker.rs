//! The threads that hash, and how often and how many at once they did.
//!
//! Owns [`Worker`] and its counts. Must never run beside the requests as an equal: a hash is the longest computation
//! here, and whoever is signed in comes first.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::domain::password::{Hasher, HashingFailed, Verdict};
use crate::domain::{Password, Random};

/// How much nicer the threads are to others than the rest of the process: on a core that is busy they get a quarter of
/// it, and on an idle one all. Nicer still, and a neighbour that computes all the time would keep everybody from signing in.
const NICER_BY: i32 = 5;
/// As nice as can be.
const NICEST: i32 = 19;

/// What the hashing threads have done.
#[derive(Debug, Default)]
pub(super) struct Counts {
    computed: AtomicU64,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// What the hashing threads have done since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// Hashes that were computed.
    pub computed: u64,
    /// Most of them at the same time.
    pub most_at_once: usize,
    /// How many can be computed at the same time.
    pub workers: usize,
    /// How many wait for it now.
    pub waiting: usize,
}

impl Counts {
    pub(super) fn told(&self, workers: usize, waiting: usize) -> Hashing {
        let (computed, most_at_once) = (self.computed.load(Ordering::SeqCst), self.most_at_once.load(Ordering::SeqCst));
        Hashing { computed, most_at_once, workers, waiting }
    }

    /// One more runs, until what is returned is dropped.
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

/// One thread's means: memory that is taken at the first hash and used again.
pub(super) struct Worker<'a> {
    hasher: Hasher,
    counts: &'a Counts,
}

impl<'a> Worker<'a> {
    /// For the thread that calls it, which steps back behind all others.
    pub(super) fn new(counts: &'a Counts) -> Self {
        step_back();
        Self { hasher: Hasher::default(), counts }
    }

    pub(super) fn hash(&mut self, password: &Password, random: &dyn Random) -> Result<String, HashingFailed> {
        let _running = self.counts.one_more();
        self.hasher.hash(password, random)
    }

    pub(super) fn verify(&mut self, password: &Password, stored: Option<&str>) -> Result<Verdict, HashingFailed> {
        let _running = self.counts.one_more();
        match stored {
            Some(stored) => self.hasher.verify(password, stored),
            None => self.hasher.verify_nobody(password).map(|()| Verdict::Mismatch),
        }
    }
}

/// On Linux a thread has a niceness of its own; elsewhere it would be that of the whole process.
#[cfg(target_os = "linux")]
fn step_back() {
    use rustix::process::{getpriority_process, setpriority_process};

    let thread = Some(rustix::thread::gettid());
    let stepped = getpriority_process(thread).and_then(|now| setpriority_process(thread, (now + NICER_BY).min(NICEST)));
    if let Err(error) = stepped {
        log::warn!("passwords are hashed at the priority of everything else: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn step_back() {
    log::debug!("a thread cannot be nicer by {NICER_BY} (at most {NICEST}) than its process here");
}
