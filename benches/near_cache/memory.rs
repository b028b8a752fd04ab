//! The memory of a copy: a node before and after it holds one of every session; and what the node costs while it rests.
//!
//! Owns the figures. Nothing is subtracted: a node without copies is asked the same, and shown beside it.

use anyhow::Result;

use super::contender::Contender;
use super::{LONG, Site};
use crate::support::figures::{number, print_table};

/// Measures and prints it.
pub async fn report(site: &mut Site) -> Result<()> {
    let sessions = site.questions.len();
    let mut rows = Vec::new();
    for entries in [Some(sessions), None] {
        let contender = Contender::start(site, 1, entries, LONG)?;
        contender.await_copies(site).await?;
        let (idle, before) = (contender.idle().await?, contender.resident()?);
        contender.ask_each(site).await?;
        let after = contender.resident()?;
        // What a copy answers the second time was kept the first time.
        let held = contender.ask_each(site).await?.hit_rate * number(sessions);
        let grown = number(after) - number(before);
        rows.push(vec![
            contender.name().to_owned(),
            format!("{:.2}", idle * 100.0),
            format!("{:.1}", number(before) / 1e6),
            format!("{:.1}", number(after) / 1e6),
            format!("{held:.0}"),
            if entries.is_some() { format!("{:.0}", grown / held) } else { String::new() },
        ]);
    }
    println!(
        "part of one core at rest; resident memory before and after each of {sessions} sessions was asked about once"
    );
    print_table(&["", "at rest, %", "before, MB", "after, MB", "copies", "bytes for each"], &rows);
    Ok(())
}
