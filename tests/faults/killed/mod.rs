//! The server killed between each two writes of what it does: after a 2xx always dead, after an error dead or alive
//! but never half, and settled within seconds.
//!
//! Owns the run through all fault points, on PostgreSQL with Redis and on SQLite alone. Half of the servers on
//! PostgreSQL leave a second node behind that has to settle it; the others are restarted and settle it themselves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::support::server::Backend;

mod operations;
mod points;
mod renewal;
mod world;

use operations::Operation;
use parking_lot::Mutex;
use points::{POINTS, Point};
use world::World;

/// How many servers are killed side by side, each with stores of its own.
const RUNNERS: usize = 4;

type Cases = Mutex<VecDeque<(Point, Operation)>>;

fn cases() -> Cases {
    let at_most = if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { usize::MAX } else { 1 };
    let of = |point: &Point| point.operations.iter().take(at_most).map(|operation| (*point, *operation)).collect();
    let all = POINTS.iter().flat_map(|point| -> Vec<_> { of(point) });
    Mutex::new(all.collect())
}

async fn run(backend: Backend, lone: bool, cases: Arc<Cases>) -> Vec<Duration> {
    let (mut world, mut settled) = (World::new(backend, lone).await, Vec::new());
    loop {
        let next = cases.lock().pop_front();
        let Some((point, operation)) = next else { return settled };
        let took = world.kill(operation, point.name, point.committed).await;
        println!("{operation:?}, killed at {:?}: settled after {took:?}", point.name);
        settled.push(took);
    }
}

async fn killed_at_every_point(backend: Backend) {
    let cases = Arc::new(cases());
    let many = backend != Backend::Embedded;
    let runners = (0..RUNNERS).map(|number| tokio::spawn(run(backend, !many || number % 2 == 1, Arc::clone(&cases))));
    let runners: Vec<_> = runners.collect();
    let mut settled = Vec::new();
    for runner in runners {
        settled.extend(runner.await.expect("never half, and settled"));
    }
    settled.sort();
    let (number, longest) = (settled.len(), settled.last().copied().unwrap_or_default());
    println!(
        "{number} servers killed, all settled; half of them within {:?}, all within {longest:?}",
        settled[number / 2]
    );
    assert!(number >= POINTS.len(), "every point once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn on_sqlite() {
    killed_at_every_point(Backend::Embedded).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn on_postgresql_with_redis() {
    killed_at_every_point(Backend::Production).await;
}
