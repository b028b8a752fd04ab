//! Benchmarks: what sessiond costs, beside others and as it grows. They tell figures and judge none.
//!
//! `cargo bench` runs `idle`, `revocation` and `check` (some minutes); `cargo bench -- NAME [OPTION…]` runs one of them, and
//! `cargo bench -- growth` the long one; `near` is about copies in memory, `flood` and `enumeration` about
//! sign-in, `search` about what administrators look for, `events` about pages that are open. docs/performance.md says what the figures mean.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod check;
mod embedding;
mod enumeration;
mod events;
mod flood;
mod growth;
mod idle;
mod near_cache;
mod revocation;
mod search;
mod support;

use anyhow::{Context, Result, bail};

const NAMES: &str = "idle, revocation, check, near, growth, flood, enumeration, search and events";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // cargo itself adds `--bench`.
    let name = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if name.as_deref() == Some(embedding::NAME) {
        // A contender, on the core that was chosen for it.
        return embedding::serve().await;
    }
    let pinned = support::cpu::pin_self();
    if !pinned {
        println!("taskset is missing: the processes share all cores, and the figures are noisier");
    }
    match name.as_deref() {
        None => {
            idle::run().await?;
            revocation::run().await?;
            check::run(pinned).await
        }
        Some("idle") => idle::run().await,
        Some("revocation") => revocation::run().await,
        Some("check") => check::run(pinned).await,
        Some("near") => near_cache::run().await,
        Some("growth") => growth::run().await,
        Some("flood") => flood::run().await,
        Some("enumeration") => enumeration::run().await,
        Some("events") => events::run().await,
        Some("search") => search::run().await,
        Some(other) => bail!("no benchmark is called {other}: there are {NAMES}"),
    }
}

/// The number after an option of the command line.
fn option<T: std::str::FromStr>(name: &str, default: T) -> Result<T> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map_or(Ok(default), |text| text.parse().ok().with_context(|| format!("{name} takes a number")))
}
