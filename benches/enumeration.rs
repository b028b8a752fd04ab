//! Whether time tells who has an account: refused sign-ins of people who are unknown, known, disabled, in turns.
//!
//! Every sample has an account and an address of its own, so that no limit on attempts answers instead. Once on a server
//! that has nothing else to do, and once in a flood of sign-ins. Prints the medians and, against the unknown, the p of
//! Mann and Whitney's rank test: below 0.01, they can be told apart.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use sessiond::domain::password::Hasher;
use sessiond::domain::{Password, SystemRandom};
use tempfile::TempDir;

use crate::option;
use crate::support::cpu;
use crate::support::figures::{median, print_table};
use crate::support::load::Client;
use crate::support::population::Population;
use crate::support::ranks::mann_whitney;
use crate::support::server::Server;
use crate::support::sign_ins::{BEHIND_A_PROXY, sign_in, some_address};

const SAMPLES: usize = 300;
/// Connections of the flood, from one address.
const FLOOD: usize = 16;
const PASSWORD: &str = "four plain words, unlikely";
const WRONG: &str = "four other words, as long";

/// Who is asked about.
const KINDS: [(&str, &str, &str); 4] = [
    ("unknown address", "unknown", WRONG),
    ("known, wrong password", "known", WRONG),
    ("disabled, right password", "disabled", PASSWORD),
    ("hash that cannot be used", "unusable", PASSWORD),
];

/// Runs it; `--samples` says how many of each kind.
pub async fn run() -> Result<()> {
    let samples = option("--samples", SAMPLES)?;
    let folder = TempDir::new()?;
    let database = folder.path().join("ledger.db");
    let mut population = Population::create(&database).await?;
    let hash = Hasher::default().hash(&Password::new(PASSWORD.to_owned()), &SystemRandom)?;
    for flood in ["calm", "flood"] {
        let emails = |kind: &str| (0..samples).map(|number| email(kind, flood, number)).collect::<Vec<_>>();
        population.accounts(emails("known"), &hash, false)?;
        population.accounts(emails("disabled"), &hash, true)?;
        population.accounts(emails("unusable"), "letmein", false)?;
    }
    let server = Server::start_with(cpu::SERVER, &database, None, &BEHIND_A_PROXY)?;
    measure(&server.address, samples, "calm").await?;
    println!();
    let over = Cell::new(false);
    let measured = async {
        let result = measure(&server.address, samples, "flood").await;
        over.set(true);
        result
    };
    tokio::try_join!(measured, flood(&server.address, &over))?;
    Ok(())
}

fn email(kind: &str, when: &str, number: usize) -> String {
    format!("{kind}-{when}-{number:06}@example.org")
}

async fn measure(address: &str, samples: usize, when: &str) -> Result<()> {
    let mut client = Client::connect(address).await?;
    let mut times = [const { Vec::new() }; KINDS.len()];
    for _ in 0..5 {
        client.ask(&sign_in("nobody@example.org", WRONG, some_address())).await?;
    }
    for number in 0..samples {
        for turn in 0..KINDS.len() {
            // Each kind comes after each other kind.
            let at = (turn + number) % KINDS.len();
            let (Some((_, kind, password)), Some(times)) = (KINDS.get(at), times.get_mut(at)) else { continue };
            let question = sign_in(&email(kind, when, number), password, some_address());
            let asked = Instant::now();
            let status = client.ask(&question).await?.status;
            times.push(asked.elapsed().as_secs_f64() * 1e3);
            ensure!(status == 401, "{kind}: {status}");
        }
    }
    let [unknown, ..] = &times;
    let rows = KINDS.iter().zip(&times).map(|((name, ..), times)| {
        let apart = (median(times) / median(unknown) - 1.0) * 100.0;
        let p = mann_whitney(times, unknown);
        vec![(*name).to_owned(), format!("{:.2}", median(times)), format!("{apart:+.1} %"), format!("{p:.3}")]
    });
    println!("{samples} sign-ins of each kind, {when}");
    print_table(&["", "median, ms", "against unknown", "p"], &rows.collect::<Vec<_>>());
    Ok(())
}

/// Sign-ins from one address, as many as are answered, until it is over.
async fn flood(address: &str, over: &Cell<bool>) -> Result<()> {
    let from = Ipv4Addr::new(192, 0, 2, 1);
    let clients = (0..FLOOD).map(|number| async move {
        let mut client = Client::connect(address).await?;
        while !over.get() {
            client.ask(&sign_in(&format!("flood-{number}@example.org"), WRONG, from)).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(clients).await.map(drop)
}
