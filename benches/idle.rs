//! A server that nobody uses yet: how soon it answers, and how much memory it takes. On SQLite, as `cargo run` does.

use std::time::Instant;

use anyhow::Result;
use tempfile::TempDir;

use crate::support::cpu;
use crate::support::figures::{median, number};
use crate::support::load::Client;
use crate::support::server::Server;

const ROUNDS: usize = 9;
const QUESTION: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Runs it.
pub async fn run() -> Result<()> {
    let (mut fresh, mut again, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let folder = TempDir::new()?;
        // The first start makes the database, the second finds it.
        for times in [&mut fresh, &mut again] {
            let begun = Instant::now();
            let server = Server::start(&folder.path().join("ledger.db"), None)?;
            Client::connect(&server.address).await?.ask(QUESTION).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            memory.push(number(cpu::resident(server.pid())?) / 1e6);
        }
    }
    println!(
        "start to first answer: {:.0} ms with a new database, {:.0} ms with an old one; resident: {:.1} MB",
        median(&fresh),
        median(&again),
        median(&memory)
    );
    Ok(())
}
