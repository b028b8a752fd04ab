//! `sessiond sessions …`: list sessions, end one, or end all that match a filter.
//!
//! Owns the words of these commands. Names a session by its public id; must never show a token.

use std::io::Write;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::config::Config;
use crate::domain::filter::Moments;
use crate::domain::{Device, Filter, SessionId, UserId};
use crate::server;
use crate::service::{App, AuditContext, FoundSession, Matching, Outcome, SessionDetail, Wanted};

use super::account;
use super::failure::Failure;
use super::output::Output;

/// Sessions read from the ledger at a time.
const PAGE: usize = 200;
/// Sessions ended or counted in one step.
const STEP: usize = 10_000;

/// The error without a filter: a missing filter never means all sessions.
const NOT_SAID: &str = "Say which sessions: an id, a filter (--user, --ip, --country…) or --all.";

/// Commands on sessions.
#[derive(Subcommand)]
pub enum Command {
    /// List the matching live sessions, newest first; without an option, all
    List {
        #[command(flatten)]
        which: Which,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// End a session, or all that match
    Revoke {
        /// The session's id, as `sessions list` shows it
        #[arg(value_parser = session_id, conflicts_with_all = ["which", "all", "dry_run"])]
        id: Option<SessionId>,
        #[command(flatten)]
        which: Which,
        /// All users' sessions
        #[arg(long, conflicts_with = "which")]
        all: bool,
        /// Only count the sessions that would end
        #[arg(long)]
        dry_run: bool,
        /// Confirm that more than one session may end
        #[arg(long)]
        yes: bool,
        /// Print the result as one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether it ends any session.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Revoke { dry_run: false, .. })
    }
}

/// Which sessions: all given options must match.
#[derive(Args, Clone, Default, PartialEq, Eq)]
#[group(id = "which", multiple = true)]
pub struct Which {
    /// The account's address, or its id
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Last used from this address or network (192.0.2.0/24)
    #[arg(long)]
    ip: Option<String>,
    /// Signed in from this address or network
    #[arg(long, value_name = "IP")]
    sign_in_ip: Option<String>,
    /// Signed in or last used from this country (two letters)
    #[arg(long)]
    country: Option<String>,
    /// Signed in or last used from the network with this AS number
    #[arg(long)]
    asn: Option<String>,
    /// The browser, as lists show it
    #[arg(long)]
    browser: Option<String>,
    /// The operating system, as lists show it
    #[arg(long)]
    os: Option<String>,
    /// Issued before this time, or longer ago than this (30d)
    #[arg(long, value_name = "TIME")]
    older_than: Option<String>,
    /// Issued since this time, or within this period (1h)
    #[arg(long, value_name = "TIME")]
    newer_than: Option<String>,
    /// Last used before this time, or longer ago than this
    #[arg(long, value_name = "TIME")]
    last_seen_before: Option<String>,
    /// Last used since this time, or within this period
    #[arg(long, value_name = "TIME")]
    last_seen_after: Option<String>,
    /// With at least this risk score
    #[arg(long, value_name = "WEIGHT")]
    risk: Option<String>,
    /// In which an agent or an administrator acts for the user: agent or admin
    #[arg(long, value_name = "KIND")]
    actor: Option<String>,
}

impl Which {
    /// The filter, in the interface's words.
    async fn filter(&self, app: &App) -> Result<Filter, Failure> {
        let user = match &self.user {
            Some(text) if UserId::parse(text).is_none() => Some(account::find(app, text).await?.id.to_string()),
            other => other.clone(),
        };
        let fields = [
            ("user", user.as_deref()),
            ("ip", self.ip.as_deref()),
            ("sign_in_ip", self.sign_in_ip.as_deref()),
            ("country", self.country.as_deref()),
            ("asn", self.asn.as_deref()),
            ("browser", self.browser.as_deref()),
            ("os", self.os.as_deref()),
            ("created_before", self.older_than.as_deref()),
            ("created_after", self.newer_than.as_deref()),
            ("last_seen_before", self.last_seen_before.as_deref()),
            ("last_seen_after", self.last_seen_after.as_deref()),
            ("risk", self.risk.as_deref()),
            ("actor", self.actor.as_deref()),
        ];
        let given = fields.into_iter().filter_map(|(field, value)| Some((field, value?)));
        Filter::parse(given, Moments::OrBackFrom(app.core.clock().now()))
            .map_err(|error| Failure::Usage(format!("--{}: {}", option(&error.field), error.detail)))
    }
}

/// The option for a filter's field.
fn option(field: &str) -> String {
    match field {
        "created_before" => "older-than".to_owned(),
        "created_after" => "newer-than".to_owned(),
        other => other.replace('_', "-"),
    }
}

fn session_id(text: &str) -> Result<SessionId, String> {
    SessionId::parse(text).ok_or_else(|| "not a session id: `sessiond sessions list` shows the ids".to_owned())
}

/// Runs the command.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    if let Command::Revoke { id: None, which, all: false, .. } = &command
        && *which == Which::default()
    {
        return Err(Failure::Usage(NOT_SAID.to_owned()));
    }
    let app = server::open_existing_ledger(config).await?;
    match command {
        Command::List { which, json } => list(&app, which.filter(&app).await?, json, out).await,
        Command::Revoke { id: Some(id), json, .. } => revoke(&app, id, json, out).await,
        Command::Revoke { which, dry_run, yes, json, .. } => {
            let filter = which.filter(&app).await?;
            revoke_matching(&app, filter, Manner { dry_run, yes, json }, out).await
        }
    }
}

async fn list(app: &App, filter: Filter, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let head =
        ["ID", "USER", "DEVICE", "IP", "FROM", "SIGNED IN", "LAST SEEN", "ENDS", "RISK", "ACTOR"].map(str::to_owned);
    let (mut after, mut none_yet) = (None, true);
    loop {
        let page =
            app.sessions.find_sessions(Wanted { filter: filter.clone(), after, limit: PAGE, current: None }).await?;
        if json {
            page.sessions.iter().try_for_each(|session| out.json(session))?;
        } else if !page.sessions.is_empty() {
            let head = none_yet.then(|| head.clone());
            let rows: Vec<_> = head.into_iter().chain(page.sessions.iter().map(cells)).collect();
            out.rows(&rows)?;
        }
        none_yet &= page.sessions.is_empty();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if none_yet && !json { out.line("No live session matches.") } else { Ok(()) }
}

fn cells(found: &FoundSession) -> [String; 10] {
    let (detail, session) = (&found.detail, &found.detail.session);
    [
        session.id.to_string(),
        found.user_email.clone(),
        device(&session.device),
        session.ip.clone(),
        places(detail),
        session.created_at.to_rfc3339(),
        session.last_seen_at.to_rfc3339(),
        session.idle_expires_at.min(session.expires_at).to_rfc3339(),
        detail.risk.to_string(),
        session.actor.as_ref().map(|actor| format!("{}:{}", actor.kind.name(), actor.id)).unwrap_or_default(),
    ]
}

/// Its place, and the place of its sign-in if they differ.
fn places(detail: &SessionDetail) -> String {
    let now = detail.session.location.clone();
    let begun = detail.country.as_ref().map(|country| match &detail.city {
        Some(city) => format!("{city}, {country}"),
        None => country.clone(),
    });
    if now == begun {
        return now.unwrap_or_default();
    }
    let [now, begun] = [now, begun].map(|place| place.unwrap_or_else(|| "somewhere unknown".to_owned()));
    format!("{now}; signed in from {begun}")
}

fn device(device: &Device) -> String {
    match (&device.browser, &device.os) {
        (Some(browser), Some(os)) => format!("{browser} on {os}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "unknown".to_owned(),
    }
}

async fn revoke(app: &App, id: SessionId, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let existed = app.sessions.revoke(id, &AuditContext::command_line()).await?;
    if !existed.0 {
        return Err(Failure::failed(format!("There is no session with the id {id}.")));
    }
    if json {
        return out.json(&serde_json::json!({ "ended": id }));
    }
    out.line(&format!("The session {id} has ended."))
}

/// How to end the sessions.
#[derive(Clone, Copy)]
struct Manner {
    dry_run: bool,
    yes: bool,
    json: bool,
}

/// The result over all steps.
#[derive(Default, Serialize)]
struct Total {
    matched: usize,
    revoked: usize,
    unconfirmed: usize,
}

async fn revoke_matching(
    app: &App,
    filter: Filter,
    manner: Manner,
    out: &mut Output<impl Write>,
) -> Result<(), Failure> {
    if !manner.dry_run && !manner.yes {
        let count = step(app, &filter, true, None, 2).await?.matched;
        if count > 1 {
            return Err(Failure::Usage(
                "More than one session matches: --dry-run counts them, --yes ends them.".to_owned(),
            ));
        }
    }
    let (mut total, mut after) = (Total::default(), None);
    loop {
        let outcome = step(app, &filter, manner.dry_run, after, STEP).await?;
        total.matched += outcome.matched;
        total.revoked += outcome.revoked;
        total.unconfirmed += outcome.unconfirmed;
        after = outcome.next;
        if after.is_none() {
            break;
        }
    }
    let told = if manner.json {
        out.json(&total)
    } else if manner.dry_run {
        out.line(&format!("Sessions that would end: {}.", total.matched))
    } else {
        out.line(&format!("Sessions that have ended: {}.", total.revoked))
    };
    match total.unconfirmed {
        0 => told,
        _ => Err(Failure::unconfirmed()),
    }
}

async fn step(
    app: &App,
    filter: &Filter,
    dry_run: bool,
    after: Option<SessionId>,
    limit: usize,
) -> Result<Outcome, Failure> {
    let wanted = Matching { filter: filter.clone(), dry_run, limit, after };
    Ok(app.sessions.revoke_matching(wanted, &AuditContext::command_line()).await?)
}
