//! `sessiond exchange`: which clients still come with old tokens.
//!
//! Owns the words of this command. Must never change anything.

use std::io::Write;
use std::time::Duration;

use clap::Args;

use crate::config::Config;
use crate::server;

use super::failure::Failure;
use super::output::Output;

/// Most kinds of clients that are shown: programs name themselves as they like.
const MOST: i64 = 1_000;

/// What to show.
#[derive(Args)]
pub struct Asked {
    /// Those of this long, such as 24h or 30d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = age)]
    since: Duration,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

fn age(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write a time such as 24h or 30d".to_owned())
}

/// Runs the command.
pub async fn run(asked: Asked, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let app = server::open_existing_ledger(config).await?;
    let since = app.core.clock().now().minus(asked.since);
    let found = app.audit.exchanges(since, MOST).await?;
    if asked.json {
        return found.iter().try_for_each(|clients| out.json(clients));
    }
    if found.is_empty() {
        return out.line(&format!("No old token was exchanged since {}.", since.to_rfc3339()));
    }
    let head = ["CLIENT", "BROWSER", "TOKENS", "LAST"].map(str::to_owned);
    let rows = found.into_iter().map(|it| [it.client, it.browser, it.count.to_string(), it.last.to_rfc3339()]);
    out.rows(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
