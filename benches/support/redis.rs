//! A private Redis: nothing on disk, a free port, gone at the end.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use redis::{Client, Connection};
use tempfile::TempDir;

use super::child::Child;
use super::cpu;

const PATIENCE: Duration = Duration::from_secs(10);
/// What the benchmark itself and the heartbeats of a server ask, beside the requests.
const NOT_COUNTED: [&str; 4] = ["info", "config", "ping", "command"];

/// The server and a connection to it.
pub struct Redis {
    child: Child,
    connection: Connection,
    url: String,
    _folder: TempDir,
}

impl Redis {
    /// Starts one on the core beside the measured server.
    pub fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = cpu::pinned(cpu::REST, "redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        let child = Child::start({
            command.current_dir(folder.path());
            command
        })?;
        let url = format!("redis://127.0.0.1:{port}");
        let connection = connect(&url)?;
        Ok(Self { child, connection, url, _folder: folder })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// One connection, for whatever is asked.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Commands that it has carried out so far for those who use it.
    pub fn commands(&mut self) -> Result<u64> {
        let info: String = redis::cmd("INFO").arg("commandstats").query(&mut self.connection)?;
        let count = |line: &str| -> Option<u64> {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let counted = !NOT_COUNTED.contains(&name.split('|').next()?);
            counted.then(|| rest.split(',').next()?.parse().ok()).flatten()
        };
        Ok(info.lines().filter_map(count).sum())
    }

    /// How often it has carried out this command so far.
    pub fn calls(&mut self, command: &str) -> Result<u64> {
        let info: String = redis::cmd("INFO").arg("commandstats").query(&mut self.connection)?;
        let begin = format!("cmdstat_{command}:calls=");
        let line = info.lines().find_map(|line| line.strip_prefix(&begin));
        Ok(line.and_then(|line| line.split(',').next()).map_or(Ok(0), str::parse)?)
    }

    /// A number from one section of `INFO`.
    pub fn info(&mut self, section: &str, name: &str) -> Result<u64> {
        let info: String = redis::cmd("INFO").arg(section).query(&mut self.connection)?;
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(value.with_context(|| format!("INFO has no {name}"))?.trim().parse()?)
    }
}

fn connect(url: &str) -> Result<Connection> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Ok(connection) = Client::open(url)?.get_connection() {
            return Ok(connection);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("redis-server does not answer: is it installed?")
}
