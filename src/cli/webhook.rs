//! `sessiond webhook …`: tests the receiver, and shows the pending messages.
//!
//! Owns the words of these commands. Must never print the possible secrets of the receiver's URL.

use std::io::Write;

use clap::Subcommand;

use crate::config::Config;
use crate::server;
use crate::service::{self, PendingNotice};

use super::failure::Failure;
use super::output::Output;

/// Commands on the webhook.
#[derive(Subcommand)]
pub enum Command {
    /// Send one message of the type webhook.test, and print the answer
    Test,
    /// Show the messages that wait for delivery
    Pending {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    match command {
        Command::Test => test(config, out).await,
        Command::Pending { json } => pending(config, json, out).await,
    }
}

async fn test(config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let Some(webhook) = &config.webhook else {
        return Err(Failure::Usage("SESSIOND_WEBHOOK_URL is not set, so there is no receiver to test.".to_owned()));
    };
    let tried = service::test_webhook(&webhook.url, &webhook.secrets).await;
    let took = tried.took.as_millis();
    if tried.delivered {
        let done = format!("{} accepted the message: {}, after {took} ms", tried.to, tried.answer);
        return out.line(&format!("{done}.")).map_err(|failure| failure.after(&done));
    }
    Err(Failure::failed(format!("{} did not accept the message: {}, after {took} ms.", tried.to, tried.answer)))
}

async fn pending(config: &Config, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let pending = server::open_existing_ledger(config).await?.events.pending_notices().await?;
    if json {
        return out.json(&pending);
    }
    if !pending.notices.is_empty() {
        let head = ["ID", "TYPE", "SINCE", "TRIED", "AGAIN", "LAST ANSWER"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(pending.notices.iter().map(cells)).collect();
        out.rows(&rows)?;
    }
    out.line(&format!("Waiting: {}; given up in the last 30 days: {}.", pending.pending, pending.given_up))
}

fn cells(notice: &PendingNotice) -> [String; 6] {
    [
        notice.id.clone(),
        notice.notice.clone(),
        notice.created_at.to_rfc3339(),
        notice.attempts.to_string(),
        notice.next_at.to_rfc3339(),
        notice.last_error.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}
