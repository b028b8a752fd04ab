//! Three nodes, 64 clients and a fault every few seconds: every check is held against the revocations around it.
//!
//! Owns the run and its figures. It is worth nothing unless the judge can see: `planted` shows that it does.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::time::Duration;

use crate::faults::trouble::System;
use crate::support::hash_cost;
use crate::support::server::NEAR_CACHE;
use crate::support::wait::{stopwatch, until};

mod bursts;
mod clients;
mod history;
mod judge;
mod planted;

use clients::Clients;

/// Clients at once.
const CLIENTS: usize = 64;
/// Accounts; each has some tens of sessions at a time.
const USERS: usize = 10;
/// How soon all has to be well after the last fault.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it lasts at least, and how long a fault and the rest before the next.
struct Size {
    lasts: Duration,
    ill: Duration,
    rest: Duration,
    least_checks: usize,
    least_faults: usize,
    /// Checks that come at once over one connection; none: one by one.
    burst: usize,
}

fn size() -> Size {
    let ms = Duration::from_millis;
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() {
        Size { lasts: ms(60_000), ill: ms(1_500), rest: ms(1_500), least_checks: 5_000, least_faults: 15, burst: 0 }
    } else {
        Size { lasts: ms(10_000), ill: ms(800), rest: ms(700), least_checks: 500, least_faults: 4, burst: 0 }
    }
}

/// With copies: as many checks as it takes to meet what only one in many thousands could show.
fn larger() -> Size {
    let least_checks = if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000_000 } else { 100_000 };
    Size { least_checks, burst: 100, ..size() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_agrees_with_the_revocations_before_it() {
    run(size(), &[]).await;
}

/// The same where every node keeps copies.
#[tokio::test(flavor = "multi_thread")]
async fn every_check_agrees_with_the_revocations_before_it_with_copies() {
    run(larger(), &[(NEAR_CACHE, "1000")]).await;
}

async fn run(size: Size, further: &[(&str, &str)]) {
    hash_cost::full();
    let system = System::start(further);
    let (app, settings) = system.app().await;
    let mut people = Vec::new();
    for _ in 0..USERS {
        people.push(crate::support::client::Anonymous::at(&system.urls()[0]).sign_up().await);
    }
    let clients = Arc::new(Clients::new(system.urls(), &people, app, settings).in_bursts_of(size.burst));
    let (end, least, begun) = (clients.now() + size.lasts, size.least_checks, stopwatch());
    let is_over = move |clients: &Clients| clients.now() >= end && clients.checks() >= least;
    let trouble = {
        let clients = Arc::clone(&clients);
        let (ill, rest) = (size.ill, size.rest);
        tokio::task::spawn_blocking(move || system.suffer(ill, rest, || is_over(&clients)))
    };
    let lives = (0..CLIENTS).map(|_| {
        let clients = Arc::clone(&clients);
        tokio::spawn(async move { clients.live(|| is_over(&clients)).await })
    });
    for life in lives.collect::<Vec<_>>() {
        life.await.expect("a client goes on");
    }
    let (system, faults) = trouble.await.expect("the faults go on");
    println!("{} faults: {}", faults.len(), faults.join(", "));
    println!("{} checks in {:?}", clients.checks(), begun());
    let recovery = stopwatch();
    until("every node answers for every session", PATIENCE, async || clients.check_all().await).await;
    println!("every node answered for every session {:?} after the last fault", recovery());
    until("nothing is left to confirm", PATIENCE, async || {
        system.stores.database.count("pending_invalidations", "1 = 1") == 0
    })
    .await;
    println!("nothing was left to confirm {:?} after the last fault", recovery());
    assert!(clients.check_all().await, "and so it stays");
    let verdict = judge::judge(&clients.history());
    let [yes, no, unknown, nothing] = verdict.answers;
    let [confirmed, open] = verdict.revocations;
    println!(
        "{} sessions; {} checks judged: {yes} times 200, {no} times 401, {unknown} times 503, {nothing} times \
              no answer; {} of them after a revocation of their session",
        clients.history().sessions.len(),
        verdict.checks(),
        verdict.after_revocation
    );
    println!("{confirmed} revocations answered 2xx, {open} not; {} violations", verdict.violations.len());
    let shown: Vec<_> = verdict.violations.iter().take(20).collect();
    assert!(shown.is_empty(), "{} violations, such as {shown:#?}", verdict.violations.len());
    assert!(faults.len() >= size.least_faults, "too few faults");
    assert!(yes.min(no).min(verdict.after_revocation) >= size.least_checks / 20, "too few checks of each kind");
    assert!(verdict.checks() >= size.least_checks && confirmed >= 10, "too little was done");
}
