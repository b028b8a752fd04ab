//! What one check of a session costs, beside everything that answers the same question in another way.
//!
//! Starts every contender as a process with one worker on one core, Redis and the load on the other, and asks each
//! in turn, several rounds. Processor time is what the operating system says that the process used. Prints a table
//! and the ratios that sessiond is measured by, writes `docs/performance/check.json` and `check.svg`.
//!
mod chart;
mod contenders;
mod report;

use std::time::Duration;

use anyhow::Result;
use contenders::{Contender, Stores};
use report::{Figures, Report};

use crate::option;
use crate::support::{cpu, load};

const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_millis(500);
const ROUNDS: usize = 5;
const SECONDS: u64 = 2;

/// Runs it; `--rounds` and `--seconds` (of each contender in each round) say how long, `--only TEXT` for whom.
pub async fn run(pinned: bool) -> Result<()> {
    let (rounds, seconds) = (option("--rounds", ROUNDS)?, option("--seconds", SECONDS)?);
    let mut stores = Stores::prepare().await?;
    let mut contenders = contenders::start_all(&mut stores).await?;
    let only: String = option("--only", String::new())?;
    contenders.retain(|contender| contender.name.contains(&only));
    anyhow::ensure!(!contenders.is_empty(), "no contender has {only:?} in its name");
    let mut report = Report::new(contenders.iter().map(|contender| contender.name).collect(), pinned);
    for _ in 0..rounds {
        for contender in &contenders {
            let figures = measure(contender, &mut stores, Duration::from_secs(seconds)).await?;
            report.add(contender.name, figures);
        }
    }
    report.print();
    // Some of them alone are no comparison.
    if only.is_empty() { report.write() } else { Ok(()) }
}

/// One contender, once: warmed up, then under load for so long.
async fn measure(contender: &Contender, stores: &mut Stores, duration: Duration) -> Result<Figures> {
    load::run(&contender.address, &contender.requests, CONNECTIONS, WARM_UP).await?;
    let redis = stores.redis.pid();
    let before = (cpu::used(contender.pid())?, cpu::used(redis)?, stores.redis.commands()?);
    let outcome = load::run(&contender.address, &contender.requests, CONNECTIONS, duration).await?;
    let after = (cpu::used(contender.pid())?, cpu::used(redis)?, stores.redis.commands()?);
    anyhow::ensure!(outcome.refused == 0, "{} refused {} requests", contender.name, outcome.refused);
    Ok(Figures::new(&outcome, after.0 - before.0, after.1 - before.1, after.2 - before.2))
}
