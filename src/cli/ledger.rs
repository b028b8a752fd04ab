//! `sessiond ledger …`: tells the server what happened to its database.
//!
//! Owns the words of these commands, and the confirmation before one that ends every session.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Subcommand;

use crate::config::Config;
use crate::server;
use crate::service::AuditContext;

use super::failure::Failure;
use super::output::Output;

/// Commands about the database.
#[derive(Subcommand)]
pub enum Command {
    /// Report that the database was restored from a backup: ends every session
    ///
    /// Always run this after restoring the database, before or while the nodes run. The backup still contains sessions
    /// that were ended after it was made. Redis tells the nodes that the database is older than before, and they answer
    /// 503 until this command has run; without Redis nothing can tell them. All users have to sign in again, and
    /// password reset links become void. The command can be repeated, even after an interruption.
    Restored {
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the command.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let Command::Restored { yes } = command;
    if !yes {
        let stdin = io::stdin();
        let on_terminal = stdin.is_terminal();
        let question = format!("This ends every session in {}; all users have to sign in again.", config.database);
        let asked = out.line(&question).and_then(|()| confirm(on_terminal, stdin.lock(), out));
        asked.map_err(Failure::before_anything)?;
    }
    let app = server::open_existing_ledger(config).await?;
    let ended = app.sessions.ledger_restored(&AuditContext::command_line()).await?;
    out.line(&format!(
        "The nodes accept this database now; sessions ended: {ended}. Running nodes continue by themselves."
    ))
}

fn confirm(on_terminal: bool, mut input: impl BufRead, out: &mut Output<impl Write>) -> Result<(), Failure> {
    if !on_terminal {
        return Err(Failure::Usage("Standard input is not a terminal: confirm with --yes.".to_owned()));
    }
    out.line("Type yes to continue:")?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::failed("Nothing was done.")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(on_terminal: bool, answer: &str) -> Result<(), Failure> {
        confirm(on_terminal, answer.as_bytes(), &mut Output::new(Vec::new()))
    }

    #[test]
    fn only_a_yes_is_one() {
        assert_eq!(asked(true, "yes\n"), Ok(()));
        for answer in ["", "\n", "y\n", "no\n", "yes please\n"] {
            assert_eq!(asked(true, answer), Err(Failure::failed("Nothing was done.")), "{answer:?}");
        }
    }

    #[test]
    fn a_script_has_to_say_it() {
        assert!(matches!(asked(false, "yes\n"), Err(Failure::Usage(_))));
    }
}
