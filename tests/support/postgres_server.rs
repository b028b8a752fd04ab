//! A PostgreSQL server of one test's own, for what a database inside of the shared one cannot show: replication,
//! promotion, an old primary that lives on.
//!
//! Owns the server's folder and its process, which is gone when the value is dropped. PostgreSQL refuses to run as root:
//! then it runs as the user that `tests/run` names.
#![cfg(feature = "postgres")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::ports::free_port;
use super::process::signal;
use super::wait::until_found;
use super::wall::Wall;

const PATIENCE: Duration = Duration::from_secs(60);

/// One running server.
pub struct PostgresServer {
    folder: TempDir,
    port: u16,
    frozen: Mutex<Vec<u32>>,
    /// What its processes find in their environment.
    variables: Vec<(&'static str, String)>,
}

impl PostgresServer {
    /// A new, empty server that others may replicate.
    pub fn primary() -> Self {
        Self::new(Vec::new())
    }

    /// The same with a clock of its own.
    pub fn with_clock(wall: &Wall) -> Self {
        Self::new(wall.variables().into())
    }

    fn new(variables: Vec<(&'static str, String)>) -> Self {
        let mut server = Self { folder: folder(), port: 0, frozen: Mutex::default(), variables };
        let data = server.data();
        run("initdb", &["-D", &data, "-U", "sessiond", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        server.start();
        server
    }

    /// A standby without whose word the primary commits nothing.
    pub fn synchronous_standby(&self) -> Self {
        let mut standby = Self { folder: folder(), port: 0, frozen: Mutex::default(), variables: Vec::new() };
        let (port, data) = (self.port.to_string(), standby.data());
        run(
            "pg_basebackup",
            &[
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "sessiond",
                "-D",
                &data,
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
            ],
        );
        standby.start();
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.execute("SELECT pg_reload_conf()");
        let synchronous = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'";
        until_found("the standby is synchronous", PATIENCE, || self.any(synchronous).then_some(()));
        standby
    }

    /// Makes a primary of a standby.
    pub fn promote(&self) {
        run("pg_ctl", &["promote", "-D", &self.data(), "-w", "-s"]);
    }

    /// Stops all of its processes where they are, until [`PostgresServer::thaw`]: the system goes on accepting connections,
    /// and nobody answers.
    pub fn freeze(&self) {
        let file = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).expect("it runs");
        let first: u32 = file.lines().next().and_then(|line| line.trim().parse().ok()).expect("its process id");
        let mut frozen = self.frozen.lock();
        // First the one that starts the others.
        signal("STOP", first);
        frozen.push(first);
        for child in children(first) {
            signal("STOP", child);
            frozen.push(child);
        }
    }

    /// All go on.
    pub fn thaw(&self) {
        for process in self.frozen.lock().drain(..) {
            signal("CONT", process);
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The URL of its one database.
    pub fn url(&self) -> String {
        format!("postgres://sessiond@{}/postgres", self.address())
    }

    /// Runs statements that answer nothing.
    pub fn execute(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Whether a query gives any row.
    pub fn any(&self, sql: &str) -> bool {
        diesel::RunQueryDsl::execute(diesel::sql_query(sql), &mut self.connect()).expect("a query") > 0
    }

    fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url()).expect("the server answers")
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn start(&mut self) {
        let log = self.folder.path().join("log").display().to_string();
        // Another test may have taken the port since it was looked at.
        for _ in 0..5 {
            self.port = free_port();
            let options = format!(
                "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off -c max_connections=60 \
                 -c max_prepared_transactions=0",
                self.port,
                self.folder.path().display()
            );
            let arguments = ["start", "-D", &self.data(), "-w", "-s", "-l", &log, "-o", &options];
            if succeeds(command("pg_ctl", &arguments).envs(self.variables.iter().cloned())) {
                return;
            }
        }
        panic!("PostgreSQL does not start: {}", std::fs::read_to_string(log).unwrap_or_default());
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.thaw();
        tried("pg_ctl", &["stop", "-D", &self.data(), "-m", "immediate", "-s"]);
    }
}

fn children(parent: u32) -> Vec<u32> {
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().expect("ps runs").stdout;
    let child = |line: &str| {
        let (pid, of) = line.trim().split_once(' ')?;
        (of.trim() == parent.to_string()).then(|| pid.parse().ok())?
    };
    String::from_utf8_lossy(&listed).lines().filter_map(child).collect()
}

/// The server's user's own.
fn folder() -> TempDir {
    let folder = TempDir::with_prefix("postgres-").expect("a folder for PostgreSQL");
    if let Some(user) = other_user() {
        let status = Command::new("chown").arg(user).arg(folder.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "the folder is given to the server's user");
    }
    folder
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("this test needs PostgreSQL: run tests/run, which sets {name}"))
}

/// As whom it runs; none: as the tests do.
fn other_user() -> Option<String> {
    let id = Command::new("id").arg("-u").output().expect("id runs").stdout;
    (String::from_utf8_lossy(&id).trim() == "0").then(|| setting("SESSIOND_TEST_POSTGRES_USER"))
}

fn run(program: &str, arguments: &[&str]) {
    assert!(tried(program, arguments), "{program} {arguments:?} fails");
}

fn tried(program: &str, arguments: &[&str]) -> bool {
    succeeds(&mut command(program, arguments))
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let program = PathBuf::from(setting("SESSIOND_TEST_POSTGRES_PROGRAMS")).join(program);
    let mut command = match other_user() {
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", &user, "--"]).arg(&program);
            command
        }
        None => Command::new(&program),
    };
    // A pipe would stay open for as long as the server that it starts.
    command.args(arguments).current_dir("/").stdout(Stdio::null()).stderr(Stdio::inherit());
    command
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
