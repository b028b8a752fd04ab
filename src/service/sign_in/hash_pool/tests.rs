//! Tests of the hash pool. The tests hold its threads by hand: no test waits for a hash, and no hash hurries a test.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc;

use tokio::task::JoinHandle;

use super::*;
use crate::domain::{Client, SystemClock, SystemRandom};
use crate::service::sign_in::hash_pool::{queue::OF_A_KIND, queue::OF_A_SOURCE};

fn started(workers: usize) -> Arc<HashPool> {
    Arc::new(HashPool::with_workers(workers, Arc::new(SystemRandom), Arc::new(SystemClock::new())))
}

fn client(number: u32) -> Client {
    Client { ip: IpAddr::V4(Ipv4Addr::from_bits(number)), user_agent: None, request_id: uuid::Uuid::nil() }
}

fn from(number: u32) -> Source {
    Source::stranger(&client(number))
}

/// Keeps one thread busy until the sender is dropped; the task is the client that waits for it.
async fn hold(hash_pool: &Arc<HashPool>) -> (mpsc::Sender<()>, JoinHandle<Result<(), Unavailable>>) {
    let ((release, until), (tell, begun)) = (mpsc::channel(), oneshot::channel());
    let hash_pool = Arc::clone(hash_pool);
    let waiting = tokio::spawn(async move {
        hash_pool
            .run(from(0), move |_| {
                tell.send(()).unwrap();
                // The sender is dropped, never used.
                let _ = until.recv();
                Ok(())
            })
            .await
    });
    begun.await.unwrap();
    (release, waiting)
}

/// A client whose job writes down its name when it runs.
fn ask(
    hash_pool: &Arc<HashPool>,
    source: Source,
    name: &'static str,
    ran: &Names,
) -> JoinHandle<Result<(), Unavailable>> {
    let (hash_pool, ran) = (Arc::clone(hash_pool), Arc::clone(ran));
    tokio::spawn(async move {
        hash_pool
            .run(source, move |_| {
                ran.lock().push(name);
                Ok(())
            })
            .await
    })
}

type Names = Arc<Mutex<Vec<&'static str>>>;

async fn until_waiting(hash_pool: &HashPool, count: usize) {
    let reached = async {
        while hash_pool.hashing().waiting != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), reached)
        .await
        .unwrap_or_else(|_| panic!("{count} never wait: {:?}", hash_pool.hashing()));
}

#[tokio::test]
async fn l_02_who_finds_no_place_is_told_at_once_and_who_waits_too_long_in_time() {
    let (hash_pool, ran) = (started(1), Names::default());
    let (release, _) = hold(&hash_pool).await;
    let waiting: Vec<_> =
        (1..=OF_A_KIND).map(|n| ask(&hash_pool, from(u32::try_from(n).unwrap()), "waits", &ran)).collect();
    until_waiting(&hash_pool, OF_A_KIND).await;
    assert_eq!(hash_pool.has_room(from(7_000)), Err(FULL));
    assert_eq!(ask(&hash_pool, from(7_000), "too many", &ran).await.unwrap(), Err(FULL));
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), Err(FULL), "while the thread is still busy");
    }
    assert_eq!(hash_pool.hashing().waiting, 0, "nobody who was told is kept");
    drop(release);
    assert_eq!(ask(&hash_pool, from(1), "next", &ran).await.unwrap(), Ok(()));
    assert_eq!(*ran.lock(), ["next"], "no hash for who was told");
}

#[tokio::test]
async fn l_03_a_hash_that_has_begun_keeps_its_place_when_its_client_has_gone() {
    let (hash_pool, ran) = (started(1), Names::default());
    let (release, client) = hold(&hash_pool).await;
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    let second = ask(&hash_pool, from(2), "second", &ran);
    until_waiting(&hash_pool, 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(hash_pool.hashing().waiting, 1, "it waits for the thread, not for the client");
    assert!(ran.lock().is_empty());
    drop(release);
    assert_eq!(second.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn l_04_who_hangs_up_leaves_the_queue_and_costs_no_hash() {
    let (hash_pool, ran) = (started(1), Names::default());
    let (release, _client) = hold(&hash_pool).await;
    let gone: Vec<_> = (0..20).map(|_| ask(&hash_pool, from(1), "gone", &ran)).collect();
    let stays = ask(&hash_pool, from(1), "stays", &ran);
    until_waiting(&hash_pool, 21).await;
    gone.iter().for_each(JoinHandle::abort);
    until_waiting(&hash_pool, 1).await;
    drop(release);
    assert_eq!(stays.await.unwrap(), Ok(()));
    assert_eq!(*ran.lock(), ["stays"]);
}

#[tokio::test]
async fn l_07_one_source_keeps_nobody_else_waiting() {
    let (hash_pool, ran) = (started(1), Names::default());
    let (release, _client) = hold(&hash_pool).await;
    let flood: Vec<_> = (0..200).map(|_| ask(&hash_pool, from(1), "flood", &ran)).collect();
    until_waiting(&hash_pool, OF_A_SOURCE).await;
    let neighbour = ask(&hash_pool, from(2), "neighbour", &ran);
    until_waiting(&hash_pool, OF_A_SOURCE + 1).await;
    drop(release);
    assert_eq!(neighbour.await.unwrap(), Ok(()));
    let before = ran.lock().iter().position(|name| *name == "neighbour").unwrap();
    assert!(before <= 1, "{before} hashes of the flood came first");
    let served =
        futures_util::future::join_all(flood).await.into_iter().filter(|answer| *answer.as_ref().unwrap() == Ok(()));
    assert_eq!(served.count(), OF_A_SOURCE);
}

#[tokio::test]
async fn l_07_a_share_is_kept_for_who_has_signed_in_here_before() {
    let (hash_pool, ran) = (started(1), Names::default());
    let (release, _client) = hold(&hash_pool).await;
    let flood: Vec<_> = (0..1_000).map(|n| ask(&hash_pool, from(n), "flood", &ran)).collect();
    until_waiting(&hash_pool, OF_A_KIND).await;
    let known = ask(&hash_pool, Source::familiar(&client(5_000)), "known", &ran);
    until_waiting(&hash_pool, OF_A_KIND + 1).await;
    drop(release);
    assert_eq!(known.await.unwrap(), Ok(()));
    let before = ran.lock().iter().position(|name| *name == "known").unwrap();
    assert!(before <= 1, "their turn is every second one, but {before} came first");
    drop(flood);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l_01_no_more_hashes_at_once_than_threads_and_every_one_is_counted() {
    let hash_pool = started(2);
    let password = || Password::new("anything".to_owned());
    let jobs: Vec<_> = (0..6)
        .map(|number| {
            let hash_pool = Arc::clone(&hash_pool);
            tokio::spawn(async move { hash_pool.verify(from(number), password(), None, None).await })
        })
        .collect();
    for job in jobs {
        assert_eq!(job.await.unwrap(), Ok(Verdict::Mismatch));
    }
    let told = hash_pool.hashing();
    assert_eq!((told.computed, told.workers, told.waiting), (6, 2, 0));
    assert!((1..=2).contains(&told.most_at_once), "{told:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_panic_takes_its_own_answer_and_not_the_thread() {
    let hash_pool = started(1);
    let panicked = hash_pool.run(from(1), |_| -> Result<(), HashingFailed> { panic!("a test") }).await;
    assert!(panicked.is_err());
    assert!(hash_pool.run(from(1), |_| Ok(())).await.is_ok());
}

#[tokio::test]
async fn who_signs_in_does_not_wait_for_passwords_that_are_judged() {
    let app_gate = started(1);
    let password_judge = Arc::new(HashPool::to_judge(Arc::new(SystemRandom), Arc::new(SystemClock::new())));
    let (release, _client) = hold(&password_judge).await;
    let hash = app_gate.hash(from(1), Password::new("a password".to_owned())).await;
    assert!(hash.is_ok(), "although a judgement goes on");
    drop(release);
}

#[tokio::test]
async fn the_threads_step_back_and_the_process_does_not() {
    let hash_pool = started(1);
    let niceness = |thread| rustix::process::getpriority_process(Some(thread)).unwrap();
    let of_hashing = hash_pool.run(from(1), move |_| Ok(niceness(rustix::thread::gettid()))).await.unwrap();
    let of_this = niceness(rustix::thread::gettid());
    assert_eq!(of_hashing, (of_this + 5).min(19));
    assert_eq!(niceness(rustix::process::getpid()), of_this);
}
