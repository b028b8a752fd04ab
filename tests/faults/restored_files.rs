//! An SQLite file that another one is put in place of, under a node that has the old one open.
//!
//! Owns what P1 says about that: the node cannot see what stands in the other one, and answers nobody.
#![cfg(feature = "postgres")]

use std::fs;
use std::time::Duration;

use sessiond::service::Condition;

use crate::faults::restored::{Ended, RESTORED, node, refusal, statuses};
use crate::support::database::Database;
use crate::support::process::{Process, command_line_ok};
use crate::support::server::Stores;
use crate::support::topologies::{Servers, Topology};
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(20);

/// The files of the database: its own and those beside it.
fn files(database: &Database) -> Vec<String> {
    let url = database.url();
    let path = url.trim_start_matches("sqlite://");
    ["", "-wal", "-shm"].iter().map(|end| format!("{path}{end}")).filter(|file| fs::exists(file).unwrap()).collect()
}

/// Copies all files, as they are.
fn copy(database: &Database) -> Vec<(String, String)> {
    let copied = |file: String| {
        let aside = format!("{file}.aside");
        fs::copy(&file, &aside).expect("a copy");
        (aside, file)
    };
    files(database).into_iter().map(copied).collect()
}

/// Puts them in the originals' places, as `mv` does.
fn put_in_place(copies: &[(String, String)]) {
    for (aside, file) in copies {
        fs::rename(aside, file).expect("it is put in place");
    }
}

#[tokio::test]
async fn beside_redis_it_is_refused_also_at_the_next_start() {
    let stores = Stores::over(Database::sqlite(), Servers::start(Topology::One));
    let settings = stores.settings();
    let a = node(&settings).await;
    let mut copies = Vec::new();
    let it = Ended::after(&stores, &[&a], || copies = copy(&stores.database)).await;
    put_in_place(&copies);
    it.await_refusal(&[&a]).await;
    drop(a);
    refusal(&settings).await;
    command_line_ok(&settings, &RESTORED, "");
    it.assert_anew(&[&node(&settings).await]).await;
}

#[tokio::test]
async fn without_redis_it_is_refused_until_the_node_is_restarted() {
    let stores = Stores::of(Database::sqlite(), None);
    let mut a = Process::start(&stores.settings());
    let owner = a.anonymous().sign_up().await;
    let victim = owner.sign_in_again().await;
    let copies = copy(&stores.database);
    owner.end_session(&victim.session_id).await.assert_status(204);
    victim.me().await.assert_status(401);
    let watch = stopwatch();
    put_in_place(&copies);
    until("it is noticed", PATIENCE, async || owner.me().await.status == 503).await;
    println!("the other file was noticed after {:?}", watch());
    let watch = stopwatch();
    while watch() < Duration::from_secs(3) {
        for person in [&owner, &victim] {
            person.me().await.assert_problem(503, "unavailable");
        }
    }
    let log = a.output();
    assert_eq!(
        log.matches("the database file was replaced while this process has the old one open").count(),
        1,
        "{log}"
    );
    // Nothing can tell a node that begins with it.
    assert!(a.terminate(), "it stops");
    a.restart();
    owner.copy_at(&a.url()).me().await.assert_status(200);
    command_line_ok(&stores.settings(), &RESTORED, "");
    for person in [&owner, &victim] {
        person.copy_at(&a.url()).me().await.assert_status(401);
    }
}

/// A name that is free for a moment is enough: nobody can say what was written under it meanwhile.
#[tokio::test]
async fn a_file_that_is_gone_is_refused_too() {
    let stores = Stores::of(Database::sqlite(), None);
    let a = node(&stores.settings()).await;
    let owner = a.anonymous().sign_up().await;
    let file = files(&stores.database).remove(0);
    let refused = async || a.app().fence.readiness().await.ledger == Condition::Outdated;
    fs::rename(&file, format!("{file}.aside")).expect("it is moved");
    until("it is noticed", PATIENCE, refused).await;
    fs::rename(format!("{file}.aside"), &file).expect("it is moved back");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(refused().await, "until it is restarted");
    assert_eq!(statuses(&owner, &a).await, [503, 503]);
}
