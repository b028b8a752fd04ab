//! `sessiond sessions …`: see a user's sessions, end one.
//!
//! Owns the words of these commands. A session is named by its public id; no command ever shows a token.

use std::io::Write;

use clap::Subcommand;

use crate::config::Config;
use crate::domain::{Device, SessionId};
use crate::service::{App, Cause, SessionView};

use super::failure::Failure;
use super::output::Output;
use super::users;

/// What can be done with sessions.
#[derive(Subcommand)]
pub enum Command {
    /// List a user's live sessions
    List {
        /// The account's address
        #[arg(long, value_name = "EMAIL")]
        user: String,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// End a session
    Revoke {
        /// The session's id, as `sessions list` shows it
        #[arg(value_parser = session_id)]
        id: SessionId,
    },
}

fn session_id(text: &str) -> Result<SessionId, String> {
    SessionId::parse(text).ok_or_else(|| "this is no session id: `sessiond sessions list` shows them".to_owned())
}

/// Does it.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let app = App::open(config).await?;
    match command {
        Command::List { user, json } => list(&app, &user, json, out).await,
        Command::Revoke { id } => revoke(&app, id, out).await,
    }
}

async fn list(app: &App, email: &str, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let user = users::find(app, email).await?;
    let sessions = app.sessions_of(user, None).await?;
    if json {
        return sessions.iter().try_for_each(|session| out.json(session));
    }
    if sessions.is_empty() {
        return out.line(&format!("{email} has no live session."));
    }
    let head = ["ID", "DEVICE", "IP", "SIGNED IN", "LAST SEEN", "ENDS"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(sessions.iter().map(cells)).collect();
    out.rows(&rows)
}

fn cells(session: &SessionView) -> [String; 6] {
    [
        session.id.to_string(),
        device(&session.device),
        session.ip.clone(),
        session.created_at.to_rfc3339(),
        session.last_seen_at.to_rfc3339(),
        session.idle_expires_at.min(session.expires_at).to_rfc3339(),
    ]
}

fn device(device: &Device) -> String {
    match (&device.browser, &device.os) {
        (Some(browser), Some(os)) => format!("{browser} on {os}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "unknown".to_owned(),
    }
}

async fn revoke(app: &App, id: SessionId, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let found = app.end_session(id, &Cause::command_line()).await?;
    if !found.0 {
        return Err(Failure::failed(format!("There is no session with the id {id}.")));
    }
    out.line(&format!("The session {id} has ended."))
}
