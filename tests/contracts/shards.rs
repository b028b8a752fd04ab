//! Which node of a cluster may speak for which slots, as the ledger decides it.

use std::collections::BTreeSet;

use sessiond::domain::{Process, Shard, Slots, Stamp, SystemRandom};
use sessiond::ledger::Ledger;
use sessiond::ledger::live_store::{self, Enrolment, FenceStatus};

use crate::contracts::ledger::target;
use crate::support::database::Database;

struct Book(Ledger);

impl Book {
    async fn on(database: &Database) -> Self {
        let ledger = Ledger::open(target(database)).expect("a pool");
        ledger.migrate().await.expect("migrations");
        Self(ledger)
    }

    async fn enroll(&self, process: Process) -> Enrolment {
        let fresh = Stamp::generate(&SystemRandom);
        self.0.write(move |db| live_store::enroll(db, &process, fresh)).await.expect("enroll")
    }

    async fn stamp(&self, process: Process) -> Stamp {
        match self.enroll(process).await {
            Enrolment::Current(stamp) => stamp,
            other => panic!("a stamp, not {other:?}"),
        }
    }

    async fn current(&self) -> BTreeSet<[u8; 8]> {
        set(&self.0.read(live_store::current).await.expect("read"))
    }

    async fn status(&self, stamps: &[Stamp]) -> FenceStatus {
        let stamps = stamps.to_vec();
        self.0.read(move |db| live_store::status(db, &stamps)).await.expect("read")
    }
}

fn set(stamps: &[Stamp]) -> BTreeSet<[u8; 8]> {
    stamps.iter().map(|stamp| *stamp.as_bytes()).collect()
}

/// The process `run_id` of the node of the same first letter, in a cluster of a, b and c.
fn node(run_id: &str, slots: &str, epoch: i64) -> Process {
    let name = run_id.get(..1).expect("a name").to_owned();
    let peers = ["a", "b", "c"].into_iter().filter(|peer| *peer != name).map(str::to_owned).collect();
    let shard = Shard { node: name, peers, slots: Slots::parse(slots).expect("slots"), epoch };
    Process { shard: Some(shard), ..whole(run_id) }
}

fn whole(run_id: &str) -> Process {
    Process { run_id: run_id.to_owned(), replid: "r".to_owned(), database: 0, prefix: String::new(), shard: None }
}

async fn a_successor_is_whoever_claims_the_same_slots(book: Book) {
    let (a, b) = (book.stamp(node("a", "0-99", 1)).await, book.stamp(node("b", "100-199", 2)).await);
    assert_eq!(book.current().await, set(&[a, b]));
    assert_eq!(book.status(&[a, b]).await, FenceStatus::Always);
    assert_eq!(book.status(&[b]).await, FenceStatus::Always, "a deletion may concern only some");
    // The node restarts; then its replica takes over.
    let a2 = book.stamp(node("a2", "0-99", 1)).await;
    let c = book.stamp(node("c", "0-99", 3)).await;
    assert_eq!(book.current().await, set(&[b, c]));
    assert_eq!(book.enroll(node("a2", "0-99", 1)).await, Enrolment::Retired);
    assert_eq!(book.status(&[a2, b]).await, FenceStatus::Superseded);
    assert_eq!(book.status(&[]).await, FenceStatus::Superseded, "there is a Redis");
    assert!(matches!(book.status(&[b]).await, FenceStatus::Since { retired: 2, .. }), "a retirement counts anywhere");
}

async fn a_node_that_the_cluster_voted_out_is_refused(book: Book) {
    book.stamp(node("a", "0-99", 1)).await;
    let c = book.stamp(node("c", "0-99", 3)).await;
    assert_eq!(book.enroll(node("a2", "0-99", 1)).await, Enrolment::Outranked, "restarted on the wrong side");
    assert_eq!(book.current().await, set(&[c]));
    // Another cluster in the place of this one begins to count anew.
    let mut stranger = node("x", "0-16383", 1);
    stranger.shard.as_mut().expect("a shard").peers.clear();
    let stranger = book.stamp(stranger).await;
    assert_eq!(book.current().await, set(&[stranger]));
}

async fn who_loses_slots_keeps_its_stamp_and_who_gains_some_gets_another(book: Book) {
    let (a, b) = (book.stamp(node("a", "0-99", 1)).await, book.stamp(node("b", "100-199", 2)).await);
    assert_eq!(book.stamp(node("a", "0-49", 1)).await, a);
    let grown = book.stamp(node("b", "50-199", 4)).await;
    assert_ne!(grown, b);
    assert_eq!(book.current().await, set(&[a, grown]));
    // Nobody has heard yet of what the first lost: it is retired, and comes back with what is left.
    let taken = book.stamp(node("c", "40-49", 5)).await;
    assert_eq!(book.current().await, set(&[grown, taken]));
    assert_eq!(book.enroll(node("a", "0-49", 1)).await, Enrolment::Retired, "it has not heard of it either");
    let left = book.stamp(node("a", "0-39", 1)).await;
    assert_ne!(left, a);
    let back = book.stamp(node("a", "0-49", 6)).await;
    assert!(back != left && back != a);
    assert_eq!(book.current().await, set(&[back, grown]));
}

async fn a_cluster_and_a_single_server_are_rivals(book: Book) {
    let single = book.stamp(whole("s")).await;
    let a = book.stamp(node("a", "0-99", 1)).await;
    assert_eq!(book.current().await, set(&[a]));
    assert_eq!(book.enroll(whole("s")).await, Enrolment::Retired);
    let other = book.stamp(whole("t")).await;
    assert_eq!(book.current().await, set(&[other]));
    assert_ne!(single, other);
}

macro_rules! on_each_database {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            use super::*;
            $(#[tokio::test] async fn $name() {
                let database = Database::sqlite();
                super::$name(Book::on(&database).await).await;
            })+
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            use super::*;
            $(#[tokio::test] async fn $name() {
                let database = Database::postgres();
                super::$name(Book::on(&database).await).await;
            })+
        }
    };
}

on_each_database! {
    a_successor_is_whoever_claims_the_same_slots,
    a_node_that_the_cluster_voted_out_is_refused,
    who_loses_slots_keeps_its_stamp_and_who_gains_some_gets_another,
    a_cluster_and_a_single_server_are_rivals,
}
