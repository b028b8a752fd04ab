//! Lineage in SQL: a height is raised a step at a time from what was read, whoever does it.

use futures_util::future::join_all;
use sessiond::domain::{History, HistoryPosition, Lineage, SystemRandom};
use sessiond::ledger::{Ledger, lineage};

use crate::contracts::ledger::target;
use crate::support::database::Database;

fn name() -> Lineage {
    Lineage::generate(&SystemRandom)
}

async fn opened(database: &Database) -> Ledger {
    let ledger = Ledger::open(target(database)).expect("a pool");
    ledger.migrate().await.expect("migrations");
    ledger
}

async fn history(ledger: &Ledger) -> Option<History> {
    ledger.read(lineage::read).await.expect("a read")
}

async fn a_ledger_is_named_once(database: Database) {
    let (one, other) = (opened(&database).await, opened(&database).await);
    assert_eq!(history(&one).await, None);
    let histories: Vec<_> =
        (0..8).map(|_| History { ledger: name(), position: HistoryPosition::first(name()) }).collect();
    let establish = |(number, history): (usize, &History)| {
        let (ledger, history) = (if number % 2 == 0 { &one } else { &other }, history.clone());
        async move { ledger.write(move |db| lineage::establish(db, &history)).await.expect("a write") }
    };
    join_all(histories.iter().enumerate().map(establish)).await;
    let named = history(&one).await.expect("a name");
    assert!(histories.contains(&named));
    assert_eq!(history(&other).await, Some(named));
}

async fn of_many_who_raise_one_does(database: Database) {
    let ledger = opened(&database).await;
    let from = HistoryPosition::first(name());
    let new = History { ledger: name(), position: from.clone() };
    ledger.write(move |db| lineage::establish(db, &new)).await.expect("a write");
    let raise = || {
        let (from, to) = (from.clone(), from.clone().raised());
        ledger.write(move |db| lineage::advance(db, &from, &to))
    };
    let raised = join_all((0..8).map(|_| raise())).await;
    assert_eq!(raised.into_iter().filter(|moved| *moved.as_ref().expect("a write")).count(), 1);
    assert_eq!(history(&ledger).await.expect("a name").position, from.clone().raised());
    let fresh = name();
    ledger.write(move |db| lineage::declare(db, fresh)).await.expect("a write");
    let declared = history(&ledger).await.expect("a name").position;
    assert_eq!(declared, from.raised().begin(fresh));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_named_once_on_sqlite() {
    a_ledger_is_named_once(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_raise_one_does_on_sqlite() {
    of_many_who_raise_one_does(Database::sqlite()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_named_once_on_postgresql() {
    a_ledger_is_named_once(Database::postgres()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_raise_one_does_on_postgresql() {
    of_many_who_raise_one_does(Database::postgres()).await;
}
