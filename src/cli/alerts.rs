//! `sessiond alerts …`: list alerts about unusual sessions, and acknowledge them.
//!
//! Owns the words of these commands. The names of cities and networks come from a location file: they must reach the
//! terminal as plain text.

use std::io::Write;

use clap::{Subcommand, ValueEnum};

use crate::config::Config;
use crate::domain::{AlertId, UserId};
use crate::server;
use crate::service::{AlertError, AlertState, AlertView, App, AuditContext};

use super::account;
use super::failure::Failure;
use super::output::Output;

/// Alerts read from the ledger at a time.
const PAGE: i64 = 200;

/// Commands on alerts.
#[derive(Subcommand)]
pub enum Command {
    /// List alerts, the newest first
    List {
        /// Which alerts
        #[arg(long, value_enum, default_value = "open")]
        state: StateArg,
        /// About this account: its address or id
        #[arg(long, value_name = "EMAIL|ID")]
        user: Option<String>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Acknowledge an alert
    Acknowledge {
        /// The alert's id, as `alerts list` shows it
        #[arg(value_parser = alert_id)]
        id: AlertId,
        /// Print the id as one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Which alerts.
#[derive(Clone, Copy, ValueEnum)]
pub enum StateArg {
    /// Not yet acknowledged
    Open,
    /// Acknowledged
    Acknowledged,
    /// All
    All,
}

fn alert_id(text: &str) -> Result<AlertId, String> {
    AlertId::parse(text).ok_or_else(|| "not an alert id: `sessiond alerts list` shows the ids".to_owned())
}

/// Runs the command.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let app = server::open_existing_ledger(config).await?;
    match command {
        Command::List { state, user, json } => {
            let user = match user {
                Some(user) => Some(whom(&app, &user).await?),
                None => None,
            };
            list(&app, state, user, json, out).await
        }
        Command::Acknowledge { id, json } => acknowledge(&app, id, json, out).await,
    }
}

/// The user of this address or id. An alert outlives its account, which then has no address any more.
async fn whom(app: &App, user: &str) -> Result<UserId, Failure> {
    if let Some(id) = UserId::parse(user)
        && !app.risk.list_alerts(AlertState::All, Some(id), None, 1).await?.is_empty()
    {
        return Ok(id);
    }
    account::find(app, user).await.map(|account| account.id)
}

async fn list(
    app: &App,
    state: StateArg,
    user: Option<UserId>,
    json: bool,
    out: &mut Output<impl Write>,
) -> Result<(), Failure> {
    let state = match state {
        StateArg::Open => AlertState::Open,
        StateArg::Acknowledged => AlertState::Acknowledged,
        StateArg::All => AlertState::All,
    };
    let (mut before, mut rows) = (None, vec![HEAD.map(str::to_owned)]);
    loop {
        let page = app.risk.list_alerts(state, user, before, PAGE).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        if json {
            page.iter().try_for_each(|alert| out.json(alert))?;
        } else {
            // Page by page, because their number is unbounded.
            rows.extend(page.iter().flat_map(cells));
            out.rows(&rows)?;
            rows.clear();
        }
    }
    if !json && before.is_none() {
        return out.line("No alert matches.");
    }
    Ok(())
}

const HEAD: [&str; 6] = ["ID", "OPENED", "USER", "RISK", "SESSIONS", "WHY"];

/// A line for each reason; the first holds what they share. Deleting the account deletes its reasons.
fn cells(alert: &AlertView) -> Vec<[String; 6]> {
    let mut lines: Vec<_> = alert
        .signals
        .iter()
        .map(|signal| {
            let why = format!("{} ({}): {}", signal.rule, signal.weight, signal.reason);
            let [id, opened, user, risk, sessions] = <[String; 5]>::default();
            [id, opened, user, risk, sessions, why]
        })
        .collect();
    if lines.is_empty() {
        let [id, opened, user, risk, sessions] = <[String; 5]>::default();
        lines.push([id, opened, user, risk, sessions, "the account was deleted".to_owned()]);
    }
    if let Some([id, opened, user, risk, sessions, _]) = lines.first_mut() {
        *id = alert.id.to_string();
        *opened = alert.opened_at.to_rfc3339();
        *user = alert.user.email.clone().unwrap_or_else(|| alert.user.id.to_string());
        *risk = alert.risk.to_string();
        *sessions = alert.sessions.len().to_string();
    }
    lines
}

async fn acknowledge(app: &App, id: AlertId, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    app.risk.acknowledge_alert(id, &AuditContext::command_line()).await.map_err(|error| match error {
        AlertError::Unknown => Failure::failed(format!("There is no alert with the id {id}.")),
        AlertError::Denied(denied) => denied.into(),
    })?;
    if json {
        return out.json(&serde_json::json!({ "acknowledged": id }));
    }
    out.line(&format!("The alert {id} is acknowledged."))
}
