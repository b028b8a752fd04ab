//! How much processor time a process has used, and on which core it runs.
//!
//! Owns the reading of `/proc` (nanoseconds, from the scheduler) and the pinning with `taskset`.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

/// The core of the server that is measured.
pub const SERVER: &str = "0";
/// The core of everything else: Redis and the load.
pub const REST: &str = "1";

/// All that a process's living threads have used so far.
pub fn used(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("a Linux with /proc is needed")? {
        // A thread may have ended since the folder was listed.
        let Ok(line) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let first = line.split_whitespace().next().context("/proc has no schedstat")?;
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory, in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("/proc has no VmRSS")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("VmRSS has no number")?.parse()?;
    Ok(kilobytes * 1024)
}

/// Keeps the whole calling process to one core. False where that cannot be done: the figures are then noisier.
pub fn pin_self() -> bool {
    let id = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", REST, &id]).output();
    pinned.is_ok_and(|output| output.status.success())
}

/// A command that runs on one core, where that can be done.
pub fn pinned(core: &str, program: &str) -> Command {
    let possible = Command::new("taskset").args(["-c", core, "true"]).output();
    if possible.is_ok_and(|output| output.status.success()) {
        let mut command = Command::new("taskset");
        command.args(["-c", core, program]);
        command
    } else {
        Command::new(program)
    }
}
