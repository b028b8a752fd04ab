//! A Redis of one test's own, which the test may crash, freeze, restart and restore at will.
//!
//! Owns one `redis-server` process and its folder. Must never talk to a Redis that it did not start; the
//! process is gone when the value is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Commands, Connection, FromRedisValue, RedisResult};
use tempfile::TempDir;

use super::monitor::Monitor;
use super::ports::free_port;
use super::process::signal;
use super::wait::until_found;

const PATIENCE: Duration = Duration::from_secs(15);

/// What is left after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing.
    None,
    /// The last snapshot: one is written on [`PrivateRedis::terminate`] and on `SAVE`, never on its own.
    Rdb,
    /// Every write, as far as it reached the file (`appendfsync always`).
    Aof,
}

/// One private `redis-server`.
pub struct PrivateRedis {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    child: Mutex<Option<Child>>,
}

impl PrivateRedis {
    /// A server that forgets everything when it stops.
    pub fn start() -> Self {
        Self::with(Persistence::None, &[])
    }

    /// A server with this persistence and further arguments, such as `["--maxmemory", "2mb"]`.
    pub fn with(persistence: Persistence, further: &[&str]) -> Self {
        let mut arguments: Vec<String> = persistence.arguments().iter().map(ToString::to_string).collect();
        arguments.extend(further.iter().map(ToString::to_string));
        let folder = TempDir::with_prefix("redis-").expect("a folder for Redis");
        let mut redis = Self { folder, port: 0, arguments, child: Mutex::default() };
        // Another test may have taken the port since it was looked at.
        for _ in 0..5 {
            redis.port = free_port();
            if redis.try_start() {
                return redis;
            }
        }
        panic!("redis-server does not start: {}", redis.log());
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:port`, for a proxy in front.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// One command, as one would type it into `redis-cli`; panics on an error answer.
    pub fn cli<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_cli(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// One command; an error answer or a dead server is an error.
    pub fn try_cli<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let (name, arguments) = command.split_first().expect("a command has a name");
        redis::cmd(name).arg(arguments).query(&mut self.connect()?)
    }

    /// All keys that match a pattern, in order.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut connection = self.connect().expect("a connection");
        let found = connection.scan_match::<_, String>(pattern).expect("SCAN answers");
        let mut keys: Vec<String> = found.map(|key| key.expect("a key is text")).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Everything that is stored, keys and values, as one text: to search for what must not be there.
    pub fn dump_text(&self) -> String {
        let values = |key: &String| self.cli::<redis::Value>(&["DUMP", key]);
        self.keys("*").iter().map(|key| format!("{key} = {:?} {:?}\n", self.plain(key), values(key))).collect()
    }

    fn plain(&self, key: &str) -> Option<String> {
        self.try_cli(&["GET", key]).ok()
    }

    /// Starts to write down every command that any client sends. See [`Monitor`].
    pub fn monitor(&self) -> Monitor {
        Monitor::start(self)
    }

    /// SIGKILL: what a crash or a pulled plug does.
    pub fn kill(&self) {
        if let Some(mut child) = self.take_child() {
            child.kill().expect("own process can be killed");
            child.wait().expect("own process can be waited for");
        }
    }

    /// SIGTERM: an orderly stop, which writes a snapshot under [`Persistence::Rdb`].
    pub fn terminate(&self) {
        if let Some(mut child) = self.take_child() {
            signal("TERM", child.id());
            child.wait().expect("own process can be waited for");
        }
    }

    /// Starts it again, on the same port and folder; kills it first when it runs.
    pub fn restart(&self) {
        self.kill();
        // The old socket may need a moment to go.
        until_found("Redis restarts on its port", PATIENCE, || self.try_start().then_some(()));
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn pause(&self) {
        signal("STOP", self.pid());
    }

    /// SIGCONT: goes on after [`PrivateRedis::pause`], with everything that was sent meanwhile.
    pub fn resume(&self) {
        signal("CONT", self.pid());
    }

    /// A snapshot of what is stored now, for [`PrivateRedis::restart_from`].
    pub fn snapshot(&self) -> Vec<u8> {
        self.cli::<()>(&["SAVE"]);
        fs::read(self.folder.path().join("dump.rdb")).expect("the snapshot")
    }

    /// Crashes it and starts it from an old snapshot: what restoring a backup does.
    pub fn restart_from(&self, snapshot: &[u8]) {
        assert!(!self.arguments.iter().any(|argument| argument == "always"), "an AOF would win over the snapshot");
        self.kill();
        fs::write(self.folder.path().join("dump.rdb"), snapshot).expect("the snapshot is written");
        self.restart();
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.lock().as_ref().expect("Redis runs").id()
    }

    /// Its folder, with `dump.rdb`, `appendonlydir` and `redis.log`.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn take_child(&self) -> Option<Child> {
        self.child.lock().take()
    }

    /// A connection of the test's own.
    pub fn connect(&self) -> RedisResult<Connection> {
        let connection = redis::Client::open(self.url())?.get_connection_with_timeout(Duration::from_secs(2))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(connection)
    }

    /// True once it answers; false if the process ended (most often: the port was taken).
    fn try_start(&self) -> bool {
        *self.child.lock() = Some(self.spawn());
        let answers = until_found("Redis answers", PATIENCE, || {
            if self.child.lock().as_mut()?.try_wait().expect("own process can be asked").is_some() {
                return Some(false);
            }
            self.try_cli::<String>(&["PING"]).is_ok().then_some(true)
        });
        // Something else may answer on a port that ours could not bind: only ours has our folder.
        answers
            && self
                .try_cli::<(String, String)>(&["CONFIG", "GET", "dir"])
                .is_ok_and(|(_, folder)| self.is_mine(&folder))
    }

    fn is_mine(&self, folder: &str) -> bool {
        self.folder.path().canonicalize().is_ok_and(|mine| mine == Path::new(folder))
    }

    fn spawn(&self) -> Child {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("redis.log"));
        Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--pidfile", "redis.pid"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.expect("a log file"))
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs the program redis-server: start the tests with tests/run, which installs it")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default()
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        if let Some(mut child) = self.take_child() {
            // Also ends a paused process; nothing can be done about an error here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Persistence {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::None => &["--save", "", "--appendonly", "no"],
            Self::Rdb => &["--save", "3600 1", "--appendonly", "no"],
            Self::Aof => &["--save", "", "--appendonly", "yes", "--appendfsync", "always"],
        }
    }
}
