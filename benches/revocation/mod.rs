//! How long a revocation takes, and whether anybody is let through after it.
//!
//! Two nodes without a near cache, and two, eight and a hundred with one (of the hundred, 98 only hold leases), over one
//! ledger and one Redis. In each round a session that every node answers from a copy is revoked at one of them while all
//! are asked about it; after the 2xx every further question must be refused by each. With eight nodes also while one of
//! them is paused, cut off from Redis or killed. Prints how long the 2xx took, how long after it the last 200 came that
//! had been asked for before it, and how many were let through that were asked for after it: violations of P1, which end
//! the benchmark with an error. Takes some two and a half minutes. The ledger is a new SQLite file, or the empty database
//! that `SESSIOND_BENCH_POSTGRES` names.

mod report;
mod round;
mod site;
mod stubs;
mod trouble;

use anyhow::Result;
use report::Report;
use round::Asking;
use site::Site;
use stubs::Stubs;
use trouble::Trouble;

use crate::option;

const ROUNDS: usize = 300;
/// How often each trouble happens.
const TIMES: usize = 3;
const FEW: usize = 2;
const SEVERAL: usize = 8;
/// With the few, a hundred.
const STUBS: usize = 98;

/// Runs it; `--rounds` says how often sessions are revoked in each situation.
pub async fn run() -> Result<()> {
    let rounds = option("--rounds", ROUNDS)?;
    // Beside the rounds of each row, one victim for each trouble.
    let mut site = Site::of(rounds * 12 + 100).await?;
    let mut report = Report::default();
    let measured = measure(&mut site, rounds, &mut report).await;
    report.print(site.place.name());
    measured
}

async fn measure(site: &mut Site, rounds: usize, report: &mut Report) -> Result<()> {
    site.serve(FEW, false)?;
    report.add("2 nodes, no near cache, asked all the time", &site.rounds(rounds, Asking::CONSTANT).await?)?;
    report.add("2 nodes, no near cache", &site.rounds(rounds, Asking::CALM).await?)?;
    site.serve(FEW, true)?;
    report.add("2 nodes", &site.rounds(rounds, Asking::CALM).await?)?;
    report.add("2 nodes, asked all the time", &site.rounds(rounds, Asking::CONSTANT).await?)?;
    with_stubs(site, rounds, report).await?;
    site.serve(SEVERAL, true)?;
    report.add("8 nodes", &site.rounds(rounds, Asking::CALM).await?)?;
    for trouble in [Trouble::Paused, Trouble::CutOff, Trouble::Killed] {
        let seen = trouble.measure(site, TIMES, rounds.div_ceil(TIMES * 3)).await?;
        report.add(&format!("8 nodes, {}: the first", trouble.name()), &seen.first)?;
        report.add(&format!("8 nodes, {}: after 4 s", trouble.name()), &seen.later)?;
    }
    Ok(())
}

async fn with_stubs(site: &mut Site, rounds: usize, report: &mut Report) -> Result<()> {
    let mut stubs = Stubs::start(STUBS, FEW, &site.place, &mut site.redis).await?;
    // Until every node has seen their rows.
    site.warmed(None).await?;
    report.add("2 nodes and 98 that hold leases", &site.rounds(rounds, Asking::CALM).await?)?;
    stubs.check_acknowledged(rounds)?;
    stubs.send_echoes();
    report.add("the same, and each sends echoes", &site.rounds(rounds, Asking::CALM).await?)?;
    stubs.check_acknowledged(rounds)
}
