//! `sessiond user …`: accounts.
//!
//! Owns the words of these commands. Must never print a password, nor a reset link anywhere but to whoever
//! asked for it.

use std::io::Write;

use clap::Subcommand;
use serde::Serialize;

use crate::config::Config;
use crate::domain::{Email, Role, Roles, Timestamp, UserId};
use crate::service::{App, Cause, NewUser, UserRow};

use super::failure::Failure;
use super::output::Output;
use super::password;

/// How many users are read from the ledger at a time.
const PAGE: i64 = 500;

/// What can be done with accounts.
#[derive(Subcommand)]
pub enum Command {
    /// Make an account; asks for the password, or reads it from standard input
    Add {
        /// The address to sign in with
        email: String,
        /// The name to show
        #[arg(long)]
        name: Option<String>,
        /// A role beside that of every user: admin
        #[arg(long = "role", value_name = "ROLE", value_parser = extra_role)]
        roles: Vec<Role>,
        /// Print the account as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// List all accounts
    List {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print a one-time link to set a new password
    Reset {
        /// The account's address
        email: String,
        /// Print the link and its end as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Shut an account out: ends its sessions and refuses its sign-ins
    Disable {
        /// The account's address
        email: String,
    },
    /// Let a disabled account sign in again; its old sessions stay ended
    Enable {
        /// The account's address
        email: String,
    },
    /// Give an account a role; ends its sessions, so that the next one has it
    Grant {
        /// The account's address
        email: String,
        /// The role: admin
        #[arg(value_parser = extra_role)]
        role: Role,
    },
    /// Take a role away from an account; ends its sessions, too
    Revoke {
        /// The account's address
        email: String,
        /// The role: admin
        #[arg(value_parser = extra_role)]
        role: Role,
    },
}

/// A role that can be given and taken. Every account is a `user`, so that is none.
fn extra_role(text: &str) -> Result<Role, String> {
    match text.parse() {
        Ok(Role::User) => Err("every account has the role user".to_owned()),
        Ok(role) => Ok(role),
        Err(_) => Err("the only role to give or take is admin".to_owned()),
    }
}

/// Does it.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let app = App::open(config).await?;
    let cause = Cause::command_line();
    match command {
        Command::Add { email, name, roles, json } => add(&app, Wanted { email, name, roles }, json, out).await,
        Command::List { json } => list(&app, json, out).await,
        Command::Reset { email, json } => reset(&app, config, &email, json, out).await,
        Command::Disable { email } => {
            let ended = app.disable_user(find(&app, &email).await?, &cause).await?;
            out.line(&format!("{email} is disabled; live sessions ended: {ended}."))
        }
        Command::Enable { email } => {
            app.enable_user(find(&app, &email).await?, &cause).await?;
            out.line(&format!("{email} may sign in again."))
        }
        Command::Grant { email, role } => {
            app.grant_role(find(&app, &email).await?, role, &cause).await?;
            out.line(&format!("{email} has the role {} from the next sign-in on.", role.name()))
        }
        Command::Revoke { email, role } => {
            app.take_role(find(&app, &email).await?, role, &cause).await?;
            out.line(&format!("{email} has not the role {} any more.", role.name()))
        }
    }
}

/// The account with this address.
pub async fn find(app: &App, email: &str) -> Result<UserId, Failure> {
    let row = app.find_user(email).await?;
    let id = row.map(|row| row.user.id);
    id.ok_or_else(|| Failure::failed(format!("There is no account with the address {email:?}.")))
}

struct Wanted {
    email: String,
    name: Option<String>,
    roles: Vec<Role>,
}

async fn add(app: &App, wanted: Wanted, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    // Before asking for a password: nobody should think of one in vain.
    Email::parse(&wanted.email).map_err(|invalid| Failure::failed(invalid.0))?;
    if app.find_user(&wanted.email).await?.is_some() {
        return Err(Failure::failed("There is already an account with this e-mail address."));
    }
    let roles = wanted.roles.into_iter().fold(Roles::new_account(), Roles::with);
    let personal: Vec<String> = [Some(&wanted.email), wanted.name.as_ref()].into_iter().flatten().cloned().collect();
    let password = password::ask(|password| app.password_rules().check(password, &personal))?;
    let new = NewUser { email: wanted.email, name: wanted.name, password, roles };
    let user = app.create_user(new, Cause::command_line()).await?;
    if json {
        return out.json(&user);
    }
    out.line(&format!("{} can sign in now, with the roles: {}.", user.email, names(&user.roles)))
}

async fn list(app: &App, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let mut after = None;
    let mut rows = vec![["EMAIL", "NAME", "ROLES", "STATE", "SESSIONS", "CREATED", "ID"].map(str::to_owned)];
    loop {
        let page = app.list_users(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.user.email.clone());
        if json {
            page.iter().try_for_each(|row| out.json(row))?;
        } else {
            rows.extend(page.iter().map(cells));
        }
    }
    match (json, rows.len()) {
        (true, _) => Ok(()),
        (false, 1) => out.line("There is no account yet. Make the first with `sessiond user add EMAIL --role admin`."),
        (false, _) => out.rows(&rows),
    }
}

fn cells(row: &UserRow) -> [String; 7] {
    let user = &row.user;
    [
        user.email.clone(),
        user.name.clone().unwrap_or_else(|| "-".to_owned()),
        names(&user.roles),
        if row.disabled_at.is_some() { "disabled" } else { "active" }.to_owned(),
        row.live_sessions.to_string(),
        user.created_at.to_rfc3339(),
        user.id.to_string(),
    ]
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" ")
}

/// The answer to `user reset --json`.
#[derive(Serialize)]
struct ResetLink {
    link: String,
    expires_at: Timestamp,
}

async fn reset(
    app: &App,
    config: &Config,
    email: &str,
    json: bool,
    out: &mut Output<impl Write>,
) -> Result<(), Failure> {
    let reset = app.issue_reset(find(app, email).await?, &Cause::command_line()).await?;
    // Behind the #, a browser sends it to nobody and no server logs it.
    let link = ResetLink {
        link: format!("{}/reset#{}", config.public_url(), reset.token.expose()),
        expires_at: reset.expires_at,
    };
    if json {
        return out.json(&link);
    }
    out.line(&link.link)?;
    let end = link.expires_at.to_rfc3339();
    out.line(&format!(
        "It works once, until {end}. Whoever has it can set the password of {email}: give it to nobody else."
    ))
}
