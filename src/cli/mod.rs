//! The command line: the operator's commands and their results.
//!
//! Owns the commands, their output for people and for programs, and the exit codes: 0 done, 1 failed, 2 the command or
//! a setting is wrong. Must never decide what the service layer decides: a command is one use case, called with
//! [`AuditContext::command_line`](crate::service::AuditContext::command_line).

mod account;
mod alerts;
mod audit;
mod exchange;
mod failure;
mod import;
mod keys;
mod ledger;
mod output;
mod password;
mod serve;
mod services;
mod sessions;
mod users;
mod webhook;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use log::LevelFilter;
use tokio::runtime;
use tokio::task::LocalSet;

use crate::config::{Config, Secrets, Settings};
use crate::server::{self, check_files, open_files_note};
use crate::telemetry;

use failure::Failure;
use output::Output;

/// A stateful session server: lists sessions, ends them at any instant, and keeps them when Redis is lost.
/// Without a command, it serves. Every setting is an environment variable and an option; --help lists them all.
#[derive(Parser)]
#[command(name = "sessiond", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    settings: Settings,
}

impl CommandLine {
    /// The commands with their options. Each command takes the settings, too, but only the help of the whole program
    /// shows them.
    fn described() -> clap::Command {
        Self::command().mut_subcommands(Settings::accepted)
    }

    fn read(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut Self::described().try_get_matches_from(words)?)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Bring the database's tables up to date (serving does it too)
    Migrate,
    /// Create, list and change accounts
    #[command(subcommand, disable_help_subcommand = true)]
    User(users::Command),
    /// List and end sessions
    #[command(subcommand, disable_help_subcommand = true)]
    Sessions(Box<sessions::Command>),
    /// Add, list and remove services: applications that have the sessions of their own users here
    #[command(subcommand, disable_help_subcommand = true)]
    Service(services::Command),
    /// List and replace the keys that sign tokens for services behind a gateway
    #[command(subcommand, disable_help_subcommand = true)]
    Keys(keys::Command),
    /// List and acknowledge alerts about unusual sessions
    #[command(subcommand, disable_help_subcommand = true)]
    Alerts(alerts::Command),
    /// Show the audit log: what happened, to whom, and who did it
    #[command(subcommand, disable_help_subcommand = true)]
    Audit(audit::Command),
    /// Show which clients still exchange old tokens, to see when the last of them is gone
    Exchange(exchange::Asked),
    /// Report what happened to the database
    #[command(subcommand, disable_help_subcommand = true)]
    Ledger(ledger::Command),
    /// Send a test message to the webhook, and show its pending messages
    #[command(subcommand, disable_help_subcommand = true)]
    Webhook(webhook::Command),
    /// Check the settings and print the effective ones, secrets masked
    CheckConfig {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether it changes anything in the database.
    fn changes(&self) -> bool {
        match self {
            Self::User(command) => command.changes(),
            Self::Sessions(command) => command.changes(),
            Self::Service(command) => command.changes(),
            Self::Keys(command) => command.changes(),
            Self::Alerts(command) => matches!(command, alerts::Command::Acknowledge { .. }),
            Self::Ledger(_) => true,
            Self::Migrate | Self::Audit(_) | Self::Exchange(_) | Self::Webhook(_) | Self::CheckConfig { .. } => false,
        }
    }
}

/// Runs the command that the arguments and the environment ask for; prints a failure as one sentence on standard error.
pub fn run() -> ExitCode {
    let mut out = Output::new(io::stdout());
    let ended = match asked() {
        Ok(asked) => dispatch(asked, &mut out),
        Err(Asked::Wrong(failure)) => Err(failure),
        Err(Asked::Otherwise(answer)) => return answered(&answer),
    };
    telemetry::say_last(ended.as_ref().err().and_then(Failure::sentence));
    ended.map_or_else(|failure| failure.exit_code(), |()| ExitCode::SUCCESS)
}

/// A command line that is not a command.
enum Asked {
    /// It is invalid.
    Wrong(Failure),
    /// Help, or a message that only the parser can write.
    Otherwise(clap::Error),
}

fn asked() -> Result<CommandLine, Asked> {
    Config::check_env().map_err(|error| Asked::Wrong(error.into()))?;
    CommandLine::read(std::env::args_os()).map_err(|error| {
        if may_quote_a_password(&error) && std::env::args_os().any(|word| word.to_string_lossy().contains("://")) {
            return Asked::Wrong(Failure::Usage(UNQUOTED.to_owned()));
        }
        Asked::Otherwise(error)
    })
}

/// The parser quotes the word that it does not expect: an address in the wrong place, or the rest of one that a space has
/// broken, may contain a password. The name of an option is none.
fn may_quote_a_password(error: &clap::Error) -> bool {
    let quoted = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue];
    error.use_stderr()
        && error.kind() != ErrorKind::MissingRequiredArgument
        && quoted.into_iter().filter_map(|kind| error.get(kind)).any(|word| !word.to_string().starts_with("--"))
}

const UNQUOTED: &str = "The command line is wrong: see `sessiond --help`. Its words are not repeated here, because a URL may \
                        contain a password.";

fn answered(answer: &clap::Error) -> ExitCode {
    match answer.print() {
        Err(error) if !answer.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            telemetry::say_last(Some(&format!("the output cannot be written: {error}.")));
            ExitCode::FAILURE
        }
        // There may be no reader; the exit code says it too.
        _ => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2)),
    }
}

fn dispatch(asked: CommandLine, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let config = Config::read(asked.settings, secrets(asked.command.as_ref()))?;
    let level = if asked.command.is_some() { LevelFilter::Warn } else { LevelFilter::Info };
    telemetry::start(config.log_format, level)?;
    for slip in Config::slips() {
        log::warn!("{slip}");
    }
    let Some(command) = asked.command else { return block_on(serve::serve(config, out)) };
    if !command.changes() {
        return run_command(command, &config, out);
    }
    // The environment and the folder decide which database it was, so the message names it.
    let done = format!("done in {}", config.database.whole());
    let told = run_command(command, &config, out).map_err(|failure| failure.after(&done));
    if matches!(told, Ok(()) | Err(Failure::ReaderGone)) {
        telemetry::say_last(Some(&done));
    }
    told
}

/// The secrets that the command needs.
fn secrets(command: Option<&Command>) -> Secrets {
    match command {
        None | Some(Command::CheckConfig { .. }) => Secrets::All,
        Some(Command::Webhook(webhook::Command::Test)) => Secrets::Webhook,
        Some(_) => Secrets::None,
    }
}

fn run_command(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    match command {
        Command::Migrate => block_on(migrate(config, out)),
        Command::User(command) => block_on(users::run(command, config, out)),
        Command::Sessions(command) => block_on(sessions::run(*command, config, out)),
        Command::Service(command) => block_on(services::run(command, config, out)),
        Command::Keys(command) => block_on(keys::run(command, config, out)),
        Command::Alerts(command) => block_on(alerts::run(command, config, out)),
        Command::Audit(command) => block_on(audit::run(command, config, out)),
        Command::Exchange(asked) => block_on(exchange::run(asked, config, out)),
        Command::Ledger(command) => block_on(ledger::run(command, config, out)),
        Command::Webhook(command) => block_on(webhook::run(command, config, out)),
        Command::CheckConfig { json } => {
            check_files(config).map_err(|error| Failure::Usage(error.to_string()))?;
            for advice in config.advice().into_iter().chain(open_files_note(config)) {
                log::warn!("{advice}");
            }
            check_config(config, json, out)
        }
    }
}

/// How long the exit waits for threads that still wait for the database.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs one command to completion on this thread.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = LocalSet::new().block_on(&runtime, command);
    // A database that never answers may block a thread for ever; the program exits all the same.
    runtime.shutdown_timeout(LAST_WORDS);
    outcome
}

async fn migrate(config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    server::open_ledger(config).await?;
    let done = format!("The tables in {} are up to date", config.database);
    out.line(&format!("{done}.")).map_err(|failure| failure.after(&done))
}

fn check_config(config: &Config, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let effective = config.effective();
    if json {
        let object: serde_json::Map<_, _> =
            effective.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        return out.json(&object);
    }
    let rows: Vec<_> = effective
        .into_iter()
        .map(|(name, value)| [name.to_owned(), value.unwrap_or_else(|| "(none)".to_owned())])
        .collect();
    out.rows(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::read(line.split(' '))
    }

    #[test]
    fn the_commands_are_well_formed() {
        CommandLine::described().debug_assert();
    }

    #[test]
    fn the_help_of_a_command_shows_its_own_options_alone() {
        for line in ["sessiond user add --help", "sessiond migrate --help", "sessiond sessions revoke --help"] {
            let help = parse(line).err().unwrap().to_string();
            assert!(!help.contains("--listen"), "{help}");
            assert!(help.ends_with("Settings: see `sessiond --help`\n"), "{help}");
        }
        let help = parse("sessiond --help").err().unwrap().to_string();
        assert_eq!(help.matches("--idle-timeout <").count(), 1, "{help}");
    }

    #[test]
    fn a_setting_is_understood_before_and_after_a_command() {
        for line in [
            "sessiond --idle-timeout 7m user list",
            "sessiond user list --idle-timeout 7m",
            "sessiond --idle-timeout 7m",
        ] {
            let config = Config::try_from(parse(line).ok().unwrap().settings).unwrap();
            assert_eq!(config.terms.idle.as_secs(), 420, "{line}");
        }
    }

    #[test]
    fn a_wrong_command_is_a_usage_error() {
        for line in [
            "sessiond serv",
            "sessiond user",
            "sessiond user grant ana@example.org",
            "sessiond sessions revoke 7",
            "sessiond audit list --limit 0",
            "sessiond audit list --limit +3",
            "sessiond ledger",
            "sessiond webhook",
            "sessiond user add a@b.c --role user",
        ] {
            assert_eq!(parse(line).err().unwrap().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_help_shows_no_secret_of_the_environment() {
        let hidden = CommandLine::command();
        for secret in
            ["DATABASE_URL", "REDIS_URL", "SESSIOND_COOKIE_KEY", "SESSIOND_WEBHOOK_URL", "SESSIOND_WEBHOOK_SECRET"]
        {
            assert!(
                hidden.get_arguments().find(|arg| arg.get_id() == secret).unwrap().is_hide_env_values_set(),
                "{secret}"
            );
        }
    }

    #[test]
    fn check_config_prints_aligned_lines_or_an_object() {
        let config = Config::try_from(Settings::default()).unwrap();
        let printed = |json| {
            let mut bytes = Vec::new();
            check_config(&config, json, &mut Output::new(&mut bytes)).ok().unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert!(
            printed(false).contains("\nDATABASE_URL                        sqlite://sessiond.db\n"),
            "{}",
            printed(false)
        );
        let object: serde_json::Value = serde_json::from_str(&printed(true)).unwrap();
        assert_eq!(object["SESSIOND_IDLE_TIMEOUT"], "30m");
        assert!(object["REDIS_URL"].is_null());
    }
}
