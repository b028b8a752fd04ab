//! sessiond as users run it: the program itself, with an environment, a log and signals.
//!
//! Owns the processes that it started, by their id. Must never inherit the environment of the tests: a
//! developer's own `REDIS_URL` is none of our business.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::client::Anonymous;
use super::hash_cost;
use super::ports::free_port;
use super::settings::Settings;
use super::wait::until_found;

const PATIENCE: Duration = Duration::from_secs(30);
const LISTENING: &str = "listening on http://";

/// One running `sessiond`. It is gone when the value is dropped.
pub struct Process {
    settings: Settings,
    folder: TempDir,
    address: String,
    child: Option<Child>,
    /// Files that it may have open.
    files: Option<u32>,
}

impl Process {
    /// Starts `sessiond` and waits until it says where it listens.
    pub fn start(settings: &Settings) -> Self {
        Self::start_within(settings, None)
    }

    /// The same, where it may have no more than so many files open.
    pub fn start_with_files(settings: &Settings, files: u32) -> Self {
        Self::start_within(settings, Some(files))
    }

    fn start_within(settings: &Settings, files: Option<u32>) -> Self {
        let folder = TempDir::with_prefix("sessiond-").expect("a folder for the log");
        let mut process = Self { settings: settings.clone(), folder, address: String::new(), child: None, files };
        // Another test may have taken the port since it was looked at.
        for _ in 0..3 {
            // Chosen here, not by the system, so that it is still free after a restart.
            process.settings = settings.clone().with("SESSIOND_LISTEN", &format!("127.0.0.1:{}", free_port()));
            if process.try_start() {
                return process;
            }
        }
        panic!("sessiond does not start:\n{}", process.output());
    }

    /// `http://127.0.0.1:port`, the same after every restart.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("sessiond runs").id()
    }

    /// Somebody who is not signed in.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous::at(&self.url())
    }

    /// Everything it has written to standard output and standard error since the first start.
    pub fn output(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// SIGKILL: a crash.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("own process can be killed");
            child.wait().expect("own process can be waited for");
        }
    }

    /// SIGTERM; tells whether it ended with success.
    pub fn terminate(&mut self) -> bool {
        let Some(mut child) = self.child.take() else {
            return false;
        };
        signal("TERM", child.id());
        child.wait().expect("own process can be waited for").success()
    }

    /// Starts it again on the same port with the same settings; kills it first when it runs.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.try_start(), "sessiond does not start again:\n{}", self.output());
    }

    /// Freezes it; connections stay open and nothing answers.
    pub fn pause(&self) {
        signal("STOP", self.pid());
    }

    /// Goes on after [`Process::pause`].
    pub fn resume(&self) {
        signal("CONT", self.pid());
    }

    /// Waits until it ends by itself; none when it goes on.
    pub fn wait_for_end(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        for _ in 0..250 {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    fn log_file(&self) -> std::path::PathBuf {
        self.folder.path().join("output.log")
    }

    /// True once it listens; false if it ended instead.
    fn try_start(&mut self) -> bool {
        let before = self.output().len();
        let log = File::options().create(true).append(true).open(self.log_file()).expect("a log file");
        let mut command = match self.files {
            Some(files) => limited(&self.settings, self.folder.path(), files),
            None => program(&self.settings, self.folder.path()),
        };
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.child = Some(command.spawn().expect("the program was built with the tests"));
        let address = until_found("sessiond listens", PATIENCE, || {
            let said = self.output().get(before..).and_then(listening_address);
            if said.is_some() { Some(said) } else { self.has_ended().then_some(None) }
        });
        self.address = address.unwrap_or_default();
        !self.address.is_empty()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Also ends a paused process; nothing can be done about an error here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs `sessiond` with these arguments to its end, with `input` as standard input.
pub fn command_line(settings: &Settings, arguments: &[&str], input: &str) -> Output {
    let folder = TempDir::with_prefix("sessiond-").expect("a working folder");
    let mut command = program(settings, folder.path());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program was built with the tests");
    // A command that does not read is no error; the pipe closes with the end of the statement.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("own process can be waited for")
}

/// The same for a command that must succeed; gives its standard output.
pub fn command_line_ok(settings: &Settings, arguments: &[&str], input: &str) -> String {
    let output = command_line(settings, arguments, input);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "sessiond {arguments:?} fails: {complaint}");
    String::from_utf8(output.stdout).expect("the output is UTF-8")
}

/// Sends a signal, by name, to one process.
pub fn signal(name: &str, pid: u32) {
    // The shell's own kill, because not every system has a program of that name.
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
    assert!(status.is_ok_and(|status| status.success()), "SIG{name} cannot be sent to {pid}");
}

fn program(settings: &Settings, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessiond"));
    command.env_clear().envs(settings.pairs()).current_dir(folder);
    hash_cost::pass_on(&mut command);
    command
}

/// The shell sets the limit for what it becomes.
fn limited(settings: &Settings, folder: &Path, files: u32) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("ulimit -n {files} && exec {}", env!("CARGO_BIN_EXE_sessiond")));
    command.env_clear().envs(settings.pairs()).current_dir(folder);
    hash_cost::pass_on(&mut command);
    command
}

fn listening_address(output: &str) -> Option<String> {
    let (_, after) = output.split_once(LISTENING)?;
    // Only a whole line: the end of the number may still be on its way.
    let (line, _) = after.split_once('\n')?;
    let end = line.find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != ':');
    line.get(..end.unwrap_or(line.len())).map(str::to_owned)
}
