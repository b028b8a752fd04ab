//! The product itself, as a process of its own on a core of its own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;

use super::child::Child;
use super::cpu;

/// A running sessiond with one worker.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: String,
}

/// The cookie key of every server here, base64.
pub fn cookie_key() -> String {
    STANDARD.encode((0..64).collect::<Vec<u8>>())
}

impl Server {
    /// Starts it over this SQLite file and, perhaps, a Redis.
    pub fn start(database: &Path, redis: Option<&str>) -> Result<Self> {
        Self::start_on(cpu::SERVER, database, redis)
    }

    /// Starts it on a core of the caller's choice.
    pub fn start_on(core: &str, database: &Path, redis: Option<&str>) -> Result<Self> {
        Self::start_with(core, database, redis, &[])
    }

    /// Starts it with further settings.
    pub fn start_with(core: &str, database: &Path, redis: Option<&str>, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_program(program(core), &sqlite(database), redis, settings)
    }

    /// Starts it over a ledger at this address and a Redis.
    pub fn start_at(ledger: &str, redis: &str, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_program(program(cpu::SERVER), ledger, Some(redis), settings)
    }

    /// Starts an application of its own on the session layer: this program again.
    pub fn start_embedding(database: &Path, redis: &str) -> Result<Self> {
        let mut command = cpu::pinned(cpu::SERVER, &std::env::current_exe()?.display().to_string());
        command.arg(crate::embedding::NAME);
        Self::start_program(command, &sqlite(database), Some(redis), &[])
    }

    fn start_program(
        mut command: Command,
        ledger: &str,
        redis: Option<&str>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SESSIOND_LISTEN", "127.0.0.1:0")
            .env("SESSIOND_WORKERS", "1")
            .env("SESSIOND_COOKIE_KEY", cookie_key())
            .env("DATABASE_URL", ledger);
        if let Some(redis) = redis {
            command.env("REDIS_URL", redis);
        }
        command.envs(settings.iter().copied());
        let (child, line) = Child::start_and_await(command, "listening on http://")?;
        let address = line.rsplit("listening on http://").next().context("no address")?;
        let address = address.chars().take_while(|it| it.is_ascii_digit() || ".:".contains(*it)).collect::<String>();
        let address = address.trim_end_matches('.').to_owned();
        Ok(Self { child, address })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.child.signal(signal)
    }
}

fn program(core: &str) -> Command {
    cpu::pinned(core, env!("CARGO_BIN_EXE_sessiond"))
}

fn sqlite(database: &Path) -> String {
    format!("sqlite://{}", database.display())
}
