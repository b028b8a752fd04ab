//! Hash pool: the only place where passwords are hashed and judged.
//!
//! Owns the hashing threads and their queue. A hash takes tens of milliseconds and 19 MiB, so a flood of sign-ins would
//! take the machine down: a few threads serve a short queue that is fair between addresses, and a request without a
//! place fails at once. Must never run on an async thread, and never free a place before its hash is done: a client
//! that hangs up stops waiting, but a hash that has begun is computed to its end.

mod queue;
mod source;
#[cfg(test)]
mod tests;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::domain::password::{HashingFailed, StoredHash, Verdict, WeakPassword};
use crate::domain::{Clock, Password, PasswordRules, Random};
use crate::service::core::unavailable::Unavailable;

pub(in crate::service) use source::Source;
pub use worker::Hashing;

use queue::{Pushed, Queue};
use worker::{Counts, Worker};

/// How long a job waits for its turn: by then its client has its answer.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// How long a hash that has begun may take on a busy machine.
const MAX_HASH: Duration = Duration::from_secs(4);
/// The error for a request that finds no place, or waits too long.
const FULL: Unavailable = Unavailable::Busy("too many passwords wait to be hashed");

type Job = Box<dyn FnOnce(&mut Worker<'_>) + Send>;

/// Handle to the hashing threads; they end when it is dropped.
pub(in crate::service) struct HashPool {
    shared: Arc<Shared>,
    workers: usize,
    random: Arc<dyn Random>,
    clock: Arc<dyn Clock>,
}

/// The state shared by the callers and the threads.
#[derive(Default)]
struct Shared {
    state: Mutex<PoolState>,
    news: Condvar,
    counts: Counts,
}

#[derive(Default)]
struct PoolState {
    queue: Queue<Job>,
    closed: bool,
}

impl HashPool {
    /// Starts one thread fewer than there are cores, at least one and at most four.
    pub(in crate::service) fn start(random: Arc<dyn Random>, clock: Arc<dyn Clock>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_workers(cores.saturating_sub(1).clamp(1, 4), random, clock)
    }

    /// Starts one more thread with its own queue, which hashes nothing.
    pub(in crate::service) fn to_judge(random: Arc<dyn Random>, clock: Arc<dyn Clock>) -> Self {
        Self::with_workers(1, random, clock)
    }

    fn with_workers(workers: usize, random: Arc<dyn Random>, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared::default());
        for number in 0..workers {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("passwords-{number}"));
            if let Err(error) = thread.spawn(move || shared.work()) {
                log::error!("a thread for hashing passwords could not be started: {error}");
            }
        }
        Self { shared, workers, random, clock }
    }

    /// Whether a hash for this source would find a place now: call it before any lookup for the request.
    pub(in crate::service) fn has_room(&self, source: Source) -> Result<(), Unavailable> {
        if self.shared.state.lock().queue.has_room(source) { Ok(()) } else { Err(FULL) }
    }

    /// Hashes a password that was already judged.
    pub(in crate::service) async fn hash(&self, source: Source, password: Password) -> Result<String, Unavailable> {
        let random = Arc::clone(&self.random);
        self.run(source, move |worker| worker.hash(&password, random.as_ref())).await
    }

    /// Judges a newly chosen password. `personal` is what others may know of its owner. Runs in a separate pool
    /// ([`HashPool::to_judge`]), so that no sign-in waits for it.
    pub(in crate::service) async fn judge(
        &self,
        source: Source,
        password: Password,
        rules: Arc<PasswordRules>,
        personal: Vec<String>,
    ) -> Result<Result<(), WeakPassword>, Unavailable> {
        self.run(source, move |_| Ok(rules.check(&password, &personal))).await
    }

    /// Compares a password with a stored hash; without one, takes the same time and does not match. `decoy` is the work for
    /// that, where it is not ours.
    pub(in crate::service) async fn verify(
        &self,
        source: Source,
        password: Password,
        stored: Option<String>,
        decoy: Option<Arc<StoredHash>>,
    ) -> Result<Verdict, Unavailable> {
        self.run(source, move |worker| worker.verify(&password, stored.as_deref(), decoy.as_deref())).await
    }

    /// The counts so far.
    pub(in crate::service) fn hashing(&self) -> Hashing {
        let waiting = self.shared.state.lock().queue.len();
        self.shared.counts.told(self.workers, waiting)
    }

    async fn run<T: Send + 'static>(
        &self,
        source: Source,
        task: impl FnOnce(&mut Worker<'_>) -> Result<T, HashingFailed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, mut answered) = oneshot::channel();
        let clock = Arc::clone(&self.clock);
        let asked_at = clock.monotonic();
        let job = self.shared.enter(
            source,
            Box::new(move |worker| {
                let waited = clock.monotonic().saturating_sub(asked_at);
                // A client that hung up, or was told that the pool is busy, needs no hash.
                if !answer.is_closed() && waited < MAX_WAIT {
                    drop(answer.send(task(worker)));
                }
            }),
        )?;
        let answer = match timeout(MAX_WAIT, &mut answered).await {
            Ok(answer) => answer,
            Err(_) if job.withdraw() => return Err(FULL),
            // The job started just before the timeout.
            Err(_) => timeout(MAX_HASH, answered).await.map_err(|_| FULL)?,
        };
        answer.map_err(|_| FULL)?.map_err(|failed| Unavailable::Store(failed.to_string()))
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.news.notify_all();
    }
}

impl Shared {
    fn enter(&self, source: Source, job: Job) -> Result<WaitingJob<'_>, Unavailable> {
        let pushed = self.state.lock().queue.push(source, job);
        match pushed {
            Pushed::Waits { number, displaced } => {
                // The drop answers the displaced job's client.
                drop(displaced);
                self.news.notify_one();
                Ok(WaitingJob { shared: self, source, number })
            }
            Pushed::Full => Err(FULL),
        }
    }

    /// The loop of a hashing thread.
    fn work(&self) {
        let mut worker = Worker::new(&self.counts);
        while let Some(job) = self.next() {
            // A panic costs the answer of its own job, not the thread, which sign-ins need.
            if catch_unwind(AssertUnwindSafe(|| job(&mut worker))).is_err() {
                worker = Worker::new(&self.counts);
            }
        }
    }

    /// The next job; none when the pool is dropped.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.queue.pop() {
                return Some(job);
            }
            self.news.wait(&mut state);
        }
    }
}

/// A job in the queue. It is withdrawn when its client stops waiting, or hangs up; a hash that has begun keeps its
/// thread busy.
struct WaitingJob<'a> {
    shared: &'a Shared,
    source: Source,
    number: u64,
}

impl WaitingJob<'_> {
    /// Whether the job was still waiting.
    fn withdraw(&self) -> bool {
        let job = self.shared.state.lock().queue.withdraw(self.source, self.number);
        job.is_some()
    }
}

impl Drop for WaitingJob<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
