//! `sessiond audit …`: shows the audit log.
//!
//! Owns the words of these commands. Must never change anything.

use std::io::Write;
use std::time::Duration;

use chrono::DateTime;
use clap::{Args, Subcommand};

use crate::config::Config;
use crate::domain::event::Event;
use crate::domain::{ServiceName, SessionId, Timestamp, UserId};
use crate::server;
use crate::service::{App, EventFilter, EventView};

use super::account;
use super::failure::Failure;
use super::output::Output;

/// Lines read from the ledger at a time.
const PAGE: usize = 500;
/// Actors that are not an account.
const NOBODY: [&str; 3] = ["anonymous", "command line", "server"];
/// Lines shown by default.
const SHOWN: usize = 100;

/// Commands on the audit log.
#[derive(Subcommand)]
pub enum Command {
    /// Show the lines of the audit log, the newest first
    List(Asked),
}

/// Which lines.
#[derive(Args)]
pub struct Asked {
    /// About this account: its address or id
    #[arg(long, value_name = "EMAIL|ID")]
    user: Option<String>,
    /// About this session, by its id
    #[arg(long, value_name = "ID", value_parser = session)]
    session: Option<SessionId>,
    /// Done by this account (its address or id), or by `anonymous`, `command line`, `server`, or `service` and a name
    #[arg(long, value_name = "EMAIL|ID|WHO")]
    actor: Option<String>,
    /// Of this event type, such as authn_login_success
    #[arg(long, value_parser = event)]
    event: Option<Event>,
    /// From this time on: a time (2026-11-22T07:04:42Z) or an age (24h, 7d)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// Maximum number of lines [default: 100]
    #[arg(long, value_name = "COUNT", value_parser = count)]
    limit: Option<usize>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// A point in time, or a duration before now.
#[derive(Clone, Copy)]
enum Moment {
    At(Timestamp),
    Ago(Duration),
}

fn event(text: &str) -> Result<Event, String> {
    Event::parse(text).ok_or_else(|| {
        let names: Vec<_> = Event::ALL.iter().map(|event| event.name()).collect();
        format!("the events are {}", names.join(", "))
    })
}

fn session(text: &str) -> Result<SessionId, String> {
    SessionId::parse(text).ok_or_else(|| "not a session id: `sessiond sessions list` shows the ids".to_owned())
}

/// Numbers have one spelling; Rust would also parse `+3`.
fn count(text: &str) -> Result<usize, String> {
    let digits = Some(text).filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
    let count = digits.and_then(|text| text.parse().ok()).filter(|count| *count > 0);
    count.ok_or_else(|| "write a number of at least 1".to_owned())
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(Moment::Ago(ago));
    }
    let moment = DateTime::parse_from_rfc3339(text).map_err(|_| "write it like 2026-11-22T07:04:42Z, 24h or 7d")?;
    Ok(Moment::At(Timestamp::from_ms(moment.timestamp_millis())))
}

/// Runs the command.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let app = server::open_existing_ledger(config).await?;
    let Command::List(asked) = command;
    list(&app, asked, out).await
}

/// A service's own spelling in the log: no address and no subject has a space after this word and a name.
fn is_service(who: &str) -> bool {
    who.strip_prefix("service ").is_some_and(|name| name.parse::<ServiceName>().is_ok())
}

async fn list(app: &App, asked: Asked, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let user = match &asked.user {
        Some(user) => Some(account(app, user).await?),
        None => None,
    };
    let actor = match &asked.actor {
        Some(who) if NOBODY.contains(&who.as_str()) || is_service(who) => Some(who.clone()),
        Some(who) => Some(account(app, who).await?.to_string()),
        None => None,
    };
    let at = |moment| match moment {
        Moment::At(moment) => moment,
        Moment::Ago(ago) => app.core.clock().now().minus(ago),
    };
    let (after, before) = (asked.since.map(at), asked.until.map(at));
    let filter = EventFilter { user, session: asked.session, event: asked.event, actor, after, before };
    let (mut before, mut left) = (None, asked.limit.unwrap_or(SHOWN));
    let mut rows = vec![["AT", "EVENT", "BY", "USER", "SESSION", "IP", "DETAIL"].map(str::to_owned)];
    while left > 0 {
        let (page, next) = app.audit.events(filter.clone(), before, left.min(PAGE)).await?;
        left = left.saturating_sub(page.len());
        if asked.json {
            page.iter().try_for_each(|line| out.json(line))?;
        } else {
            rows.extend(page.into_iter().map(cells));
        }
        before = next;
        if before.is_none() {
            break;
        }
    }
    match (asked.json, rows.len()) {
        (true, _) => Ok(()),
        (false, 1) => out.line("No line matches."),
        (false, _) => out.rows(&rows),
    }
}

/// The account of this address or id. An id may name a deleted account: the log still has its events.
async fn account(app: &App, user: &str) -> Result<UserId, Failure> {
    match UserId::parse(user) {
        Some(id) => Ok(id),
        None => account::find(app, user).await.map(|account| account.id),
    }
}

fn cells(line: EventView) -> [String; 7] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        line.at.to_rfc3339(),
        line.event,
        line.actor,
        or_none(line.user_id),
        or_none(line.session_id),
        or_none(line.ip),
        or_none(line.detail),
    ]
}
