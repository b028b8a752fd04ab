//! `sessiond user …`: accounts.
//!
//! Owns the words of these commands. Must never print a password, and a reset link only to the operator who asked for
//! it.

use std::io::Write;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::config::Config;
use crate::domain::{Email, Role, Roles, Timestamp, UserId};
use crate::server;
use crate::service::{App, AuditContext, NewUser, StartError, UserRow};

use super::account::{Account, find, known_or_deleted, lockable};
use super::failure::Failure;
use super::import;
use super::output::Output;
use super::password;

/// Users read from the ledger at a time.
const PAGE: usize = 500;

/// Commands on accounts.
#[derive(Subcommand)]
pub enum Command {
    /// Create an account; asks for the password, or reads it from standard input
    Add {
        /// The address to sign in with
        email: String,
        /// The name to show
        #[arg(long)]
        name: Option<String>,
        /// A role besides `user`: admin
        #[arg(long = "role", value_name = "ROLE", value_parser = extra_role)]
        roles: Vec<Role>,
        /// Print the account as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Import users of another system with their passwords' hashes, from lines of JSON
    Import(import::Import),
    /// List all accounts, or those that match a query
    List {
        /// The start of an address, of a part of it, of its host, of a name or of a word in a name
        #[arg(long, value_name = "TEXT")]
        query: Option<String>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Print a one-time link to set a new password
    Reset {
        /// The account's address or id
        user: String,
        /// Lock the account first: the old password no longer works, only the link does
        #[arg(long)]
        lock: bool,
        /// Even if no administrator would be left
        #[arg(long, requires = "lock")]
        force: bool,
        /// Print the link and its expiry as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Lock an account until a new password is set with a link (`user reset`); ends its sessions
    Lock(Unseating<Named>),
    /// Disable an account: ends its sessions and refuses its sign-ins
    Disable(Unseating<Named>),
    /// Let a disabled account sign in again; its old sessions stay ended
    Enable(Named),
    /// Delete an account: ends its sessions, then erases its personal data
    Delete(Unseating<Named>),
    /// Give an account a role; ends its sessions, because the next one has the role
    Grant(NamedRole),
    /// Remove a role from an account; ends its sessions too
    #[command(name = "revoke-role", alias = "revoke")]
    RevokeRole(Unseating<NamedRole>),
}

impl Command {
    /// Whether it changes any account.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::List { .. } | Self::Import(import::Import { dry_run: true, .. }))
    }
}

/// An account.
#[derive(Args)]
pub struct Named {
    /// The account's address or id, or an application's subject
    user: String,
    /// Print what was done as one JSON object
    #[arg(long)]
    json: bool,
}

/// An account and a role.
#[derive(Args)]
pub struct NamedRole {
    #[command(flatten)]
    named: Named,
    /// The role: admin
    #[arg(value_parser = extra_role)]
    role: Role,
}

/// A change that could leave no administrator.
#[derive(Args)]
pub struct Unseating<T: Args> {
    #[command(flatten)]
    what: T,
    /// Even if no administrator would be left
    #[arg(long)]
    force: bool,
}

impl<T: Args> Unseating<T> {
    fn context(&self) -> AuditContext {
        AuditContext::command_line_forced(self.force)
    }
}

/// A role that can be granted and revoked. Every account is a `user`, so `user` is not one.
fn extra_role(text: &str) -> Result<Role, String> {
    match text.parse() {
        Ok(Role::User) => Err("every account has the role user".to_owned()),
        Ok(role) => Ok(role),
        Err(_) => Err("the only role to grant or revoke is admin".to_owned()),
    }
}

/// Runs the command.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let app = opened(&command, config).await?;
    let context = AuditContext::command_line();
    match command {
        Command::Add { email, name, roles, json } => add(&app, Wanted { email, name, roles }, json, out).await,
        Command::Import(wanted) => import::run(&app, &wanted, out).await,
        Command::List { query, json } => list(&app, query.as_deref().unwrap_or_default(), json, out).await,
        Command::Reset { user, lock, force, json } => {
            let account = find(&app, &user).await?;
            let link = reset(&app, config, &account, lock.then(|| AuditContext::command_line_forced(force))).await?;
            tell_link(&link, &account, account.locked || lock, json, out)
        }
        Command::Lock(wanted) => {
            let account = lockable(&app, &wanted.what.user).await?;
            let ended = app.users.lock_user(account.id, &wanted.context()).await?;
            let what = format!("is locked until a new password is set; live sessions ended: {ended}.");
            done(&wanted.what, account, Some(ended), &what, out)
        }
        Command::Disable(wanted) => {
            let account = find(&app, &wanted.what.user).await?;
            let ended = app.users.disable_user(account.id, &wanted.context()).await?;
            done(&wanted.what, account, Some(ended), &format!("is disabled; live sessions ended: {ended}."), out)
        }
        Command::Enable(named) => {
            let account = find(&app, &named.user).await?;
            app.users.enable_user(account.id, &context).await?;
            let what = if account.locked {
                "is enabled, and locked until a new password is set."
            } else {
                "can sign in again."
            };
            done(&named, account, None, what, out)
        }
        Command::Delete(wanted) => {
            let account = known_or_deleted(&app, &wanted.what.user).await?;
            let ended = app.users.delete_user(account.id, &wanted.context()).await?;
            done(&wanted.what, account, Some(ended), &format!("is deleted; live sessions ended: {ended}."), out)
        }
        Command::Grant(NamedRole { named, role }) => {
            let account = find(&app, &named.user).await?;
            app.users.grant_role(account.id, role, &context).await?;
            done(&named, account, None, &format!("has the role {} from the next sign-in.", role.name()), out)
        }
        Command::RevokeRole(wanted) => {
            let NamedRole { named, role } = &wanted.what;
            let account = find(&app, &named.user).await?;
            let had = account.roles.contains(role);
            app.users.take_role(account.id, *role, &wanted.context()).await?;
            let name = role.name();
            let what = if had {
                format!("no longer has the role {name}.")
            } else {
                format!("did not have the role {name}: nothing has changed.")
            };
            done(named, account, None, &what, out)
        }
    }
}

/// The first accounts may also create the database.
async fn opened(command: &Command, config: &Config) -> Result<App, StartError> {
    match command {
        Command::Add { .. } | Command::Import(import::Import { dry_run: false, .. }) => {
            server::open_ledger(config).await
        }
        _ => server::open_existing_ledger(config).await,
    }
}

/// The answer to a change with `--json`.
#[derive(Serialize)]
struct Changed {
    user_id: UserId,
    email: Option<String>,
    /// Live sessions that ended, if counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<usize>,
}

fn done(
    named: &Named,
    account: Account,
    revoked: Option<usize>,
    what: &str,
    out: &mut Output<impl Write>,
) -> Result<(), Failure> {
    if named.json {
        return out.json(&Changed { user_id: account.id, email: account.email, revoked });
    }
    out.line(&format!("{} {what}", account.name()))
}

struct Wanted {
    email: String,
    name: Option<String>,
    roles: Vec<Role>,
}

async fn add(app: &App, wanted: Wanted, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    // Checked before the prompt, so that no password is chosen in vain.
    Email::parse(&wanted.email).map_err(|invalid| Failure::failed(invalid.0))?;
    if app.users.find_user(&wanted.email).await?.is_some() {
        return Err(Failure::failed("An account with this e-mail address already exists."));
    }
    let roles = wanted.roles.into_iter().fold(Roles::new_account(), Roles::with);
    let personal: Vec<String> = [Some(&wanted.email), wanted.name.as_ref()].into_iter().flatten().cloned().collect();
    let password = password::ask(|password| app.core.password_rules().check(password, &personal))?;
    let new = NewUser { email: wanted.email, name: wanted.name, password, roles };
    let user = app.users.create_user(new, AuditContext::command_line()).await?;
    if json {
        return out.json(&user);
    }
    out.line(&format!("{} can sign in now, with the roles: {}.", user.known_as(), names(&user.roles)))
}

async fn list(app: &App, query: &str, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let mut after = None;
    let mut rows = vec![["EMAIL", "NAME", "ROLES", "STATE", "SESSIONS", "CREATED", "ID"].map(str::to_owned)];
    loop {
        // A position from the last page is always valid in this list.
        let Some((page, next)) = app.users.find_users(query, after, PAGE).await? else { break };
        if json {
            page.iter().try_for_each(|row| out.json(row))?;
        } else {
            rows.extend(page.iter().map(cells));
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    match (json, rows.len()) {
        (true, _) => Ok(()),
        (false, 1) if !query.is_empty() => out.line("No account matches."),
        (false, 1) => {
            out.line("There is no account yet. Create the first one with `sessiond user add EMAIL --role admin`.")
        }
        (false, _) => out.rows(&rows),
    }
}

fn cells(row: &UserRow) -> [String; 7] {
    let user = &row.user;
    [
        cut(user.known_as()),
        user.name.clone().unwrap_or_else(|| "-".to_owned()),
        names(&user.roles),
        state(row).to_owned(),
        row.live_sessions.to_string(),
        user.created_at.to_rfc3339(),
        user.id.to_string(),
    ]
}

/// A subject may be long.
fn cut(text: &str) -> String {
    const MOST: usize = 64;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.split_at(end).0),
        None => text.to_owned(),
    }
}

fn state(row: &UserRow) -> &'static str {
    match (row.disabled_at, row.locked) {
        (Some(_), _) => "disabled",
        (None, _) if row.user.subject.is_some() => "of a service",
        (None, true) => "locked",
        (None, false) => "active",
    }
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" ")
}

/// The answer to `user reset --json`.
#[derive(Serialize)]
struct ResetLink {
    link: String,
    email: Option<String>,
    expires_at: Timestamp,
}

/// Creates a link, after locking the account if asked to.
async fn reset(
    app: &App,
    config: &Config,
    account: &Account,
    lock: Option<AuditContext>,
) -> Result<ResetLink, Failure> {
    let disabled = || {
        let name = account.name();
        Failure::failed(format!("{name} is disabled, so a link would not work: run `sessiond user enable` first."))
    };
    if account.disabled {
        return Err(disabled());
    }
    if let Some(context) = lock {
        app.users.lock_user(account.id, &context).await?;
    }
    let reset = app.users.issue_reset(account.id, &AuditContext::command_line()).await?.ok_or_else(disabled)?;
    if let Some(advice) = config.forgotten_origin() {
        log::warn!("{advice}");
    }
    Ok(ResetLink {
        // Browsers do not send the part after the #, so no server logs it.
        link: format!("{}/reset#{}", config.public_url(), reset.token.expose()),
        email: account.email.clone(),
        expires_at: reset.expires_at,
    })
}

fn tell_link(
    link: &ResetLink,
    account: &Account,
    locked: bool,
    json: bool,
    out: &mut Output<impl Write>,
) -> Result<(), Failure> {
    if json {
        return out.json(link);
    }
    out.line(&link.link)?;
    let end = link.expires_at.to_rfc3339();
    out.line(&format!(
        "The link works once, until {end}. It lets anyone set the password of {}, so give it only to the owner.",
        account.name()
    ))?;
    if locked {
        out.line("Until then, no password works.")
    } else {
        out.line("Until then, the old password still works (see --lock).")
    }
}
