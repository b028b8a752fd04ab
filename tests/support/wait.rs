//! Waiting: for something to become true, and for how long something took.
//!
//! Owns the only real clock of the tests. Must never stand in for the clock that sessiond is given: deadlines
//! of sessions are moved by hand, not slept through.

use std::future::Future;
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(20);

/// Asks `happened` every 20 ms until it says yes; panics after `patience`, naming `what`.
pub async fn until<F: Future<Output = bool>>(what: &str, patience: Duration, happened: impl Fn() -> F) {
    let watch = stopwatch();
    while !happened().await {
        assert!(watch() < patience, "waited {patience:?} in vain: {what}");
        tokio::time::sleep(STEP).await;
    }
}

/// The same for code that cannot await; gives what `found` found.
pub fn until_found<T>(what: &str, patience: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let watch = stopwatch();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(watch() < patience, "waited {patience:?} in vain: {what}");
        std::thread::sleep(STEP);
    }
}

/// Starts measuring; each call of what it returns tells the time since then.
#[expect(clippy::disallowed_methods, reason = "tests that measure need the real clock")]
pub fn stopwatch() -> impl Fn() -> Duration {
    let start = Instant::now();
    move || start.elapsed()
}
