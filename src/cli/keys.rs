//! `sessiond keys …`: the keys that sign tokens for services behind a gateway.
//!
//! Owns the words of these commands. Must never show a private half.

use std::io::Write;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use crate::config::Config;
use crate::domain::Timestamp;
use crate::server;
use crate::service::AuditContext;

use super::failure::Failure;
use super::output::Output;

/// Longest time for which old keys go on signing.
const LONGEST_OVERLAP: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Commands on signing keys.
#[derive(Subcommand)]
pub enum Command {
    /// List the keys, the one that signs last first
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Replace the keys: nodes publish the next one at once, and sign with it when the old ones end
    Rotate {
        /// How long the old keys go on signing, so that everybody who verifies gets the next one first. With 0s they are
        /// withdrawn: tokens that they signed are refused as soon as the keys are read again
        #[arg(long, value_name = "TIME", default_value = "2m", value_parser = overlap)]
        overlap: Duration,
    },
}

impl Command {
    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Rotate { .. })
    }
}

fn overlap(text: &str) -> Result<Duration, String> {
    let overlap = humantime::parse_duration(text).map_err(|_| "write a time such as 0s, 2m or 1h".to_owned())?;
    if overlap > LONGEST_OVERLAP { Err("at most 90 days".to_owned()) } else { Ok(overlap) }
}

/// A key, with `--json`.
#[derive(Serialize)]
struct Listed {
    kid: String,
    created_at: Timestamp,
    signs_from: Timestamp,
    signs_until: Option<Timestamp>,
    published_until: Option<Timestamp>,
}

/// Runs the command.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let app = server::open_existing_ledger(config).await?;
    let tokens = &app.access_tokens;
    match command {
        Command::List { json } => {
            let keys = tokens.signing_keys().await?.into_iter().map(|key| Listed {
                kid: key.id,
                created_at: key.created_at,
                signs_from: key.signs_from,
                signs_until: key.signs_until,
                published_until: key.published_until,
            });
            list(&keys.collect::<Vec<_>>(), json, out)
        }
        Command::Rotate { overlap } => {
            tokens.rotate_keys(overlap, &AuditContext::command_line()).await?;
            out.line(&match overlap.is_zero() {
                true => {
                    "No node signs with the old keys any more, or shows them. Each node makes the next one.".to_owned()
                }
                false => format!(
                    "The old keys sign for {} more; the next one is published by every node that serves.",
                    humantime::format_duration(overlap)
                ),
            })
        }
    }
}

fn list(keys: &[Listed], json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    if json {
        return keys.iter().try_for_each(|key| out.json(key));
    }
    if keys.is_empty() {
        return out.line("There is no key. A node makes one when it serves with SESSIOND_JWT_ISSUER.");
    }
    let head = ["KEY", "CREATED", "SIGNS FROM", "SIGNS UNTIL", "PUBLISHED UNTIL"].map(str::to_owned);
    let end = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), Timestamp::to_rfc3339);
    let rows = keys.iter().map(|key| {
        let (created, from) = (key.created_at.to_rfc3339(), key.signs_from.to_rfc3339());
        [key.kid.clone(), created, from, end(key.signs_until), end(key.published_until)]
    });
    out.rows(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
