//! The password gate: the only place where passwords are hashed.
//!
//! Owns the hashing threads. A hash takes tens of milliseconds and 19 MiB, so that a flood of sign-ins would take
//! the machine down: here a few threads work off a short queue, and whoever does not fit is told so at once. Must
//! never run on an async thread, and never give a place back before its hash is done.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Unavailable;
use crate::domain::password::{Hasher, HashingFailed, Verdict};
use crate::domain::{Clock, Password, Random};

/// Jobs that may wait.
const QUEUE: usize = 64;
/// A job that waited longer is not worth starting: its client has been told.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// How long a caller waits for its answer, queue and hash together.
const ANSWER_WAIT: Duration = Duration::from_secs(4);

type Job = Box<dyn FnOnce(&mut Hasher) + Send>;

/// Handle to the hashing threads, which end when it is dropped.
pub(super) struct Gate {
    queue: SyncSender<Job>,
    random: Arc<dyn Random>,
    clock: Arc<dyn Clock>,
}

impl Gate {
    /// Starts one thread fewer than there are cores, at least one and at most four.
    pub(super) fn start(random: Arc<dyn Random>, clock: Arc<dyn Clock>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..cores.saturating_sub(1).clamp(1, 4) {
            let jobs = Arc::clone(&jobs);
            let thread = std::thread::Builder::new().name(format!("passwords-{number}"));
            if let Err(error) = thread.spawn(move || work(&jobs)) {
                log::error!("a thread for hashing passwords could not be started: {error}");
            }
        }
        Self { queue, random, clock }
    }

    /// Hashes a new password.
    pub(super) async fn hash(&self, password: Password) -> Result<String, Unavailable> {
        let random = Arc::clone(&self.random);
        self.run(move |hasher| hasher.hash(&password, random.as_ref())).await
    }

    /// Compares a password with a stored hash; without one, costs the same and does not match.
    pub(super) async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verdict, Unavailable> {
        self.run(move |hasher| match stored {
            Some(stored) => hasher.verify(&password, &stored),
            None => hasher.verify_nobody(&password).map(|()| Verdict::Mismatch),
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Hasher) -> Result<T, HashingFailed> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let clock = Arc::clone(&self.clock);
        let queued_at = clock.monotonic();
        let job: Job = Box::new(move |hasher| {
            let waited = clock.monotonic().saturating_sub(queued_at);
            // A client that hung up, or was told that we are busy, needs no hash.
            if !answer.is_closed() && waited < MAX_WAIT {
                let _client_may_be_gone = answer.send(task(hasher));
            }
        });
        self.queue.try_send(job).map_err(|_| Unavailable::Busy("the password gate is full"))?;
        match timeout(ANSWER_WAIT, answered).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(failed))) => Err(Unavailable::Store(failed.to_string())),
            Ok(Err(_)) | Err(_) => Err(Unavailable::Busy("the password gate is full")),
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    let mut hasher = Hasher::default();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job(&mut hasher);
    }
}
