//! A process of the benchmark's own, which is gone when the benchmark is.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A process that ends with its owner.
pub struct Child(Process);

impl Child {
    /// Starts it, quietly.
    pub fn start(mut command: Command) -> Result<Self> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().with_context(|| format!("{command:?} does not start"))?))
    }

    /// Starts it and waits for the first line that holds `what`, on either output; gives that line.
    pub fn start_and_await(mut command: Command, what: &str) -> Result<(Self, String)> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("{command:?} does not start"))?;
        let (sender, lines) = channel();
        if let Some(output) = process.stdout.take() {
            pass_on(output, sender.clone());
        }
        if let Some(output) = process.stderr.take() {
            pass_on(output, sender);
        }
        let child = Self(process);
        let mut said = Vec::new();
        for line in lines {
            if line.contains(what) {
                return Ok((child, line));
            }
            said.push(line);
        }
        bail!("{command:?} ended: {}", said.join(" / "))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }
}

/// Goes on reading for as long as the process writes, so that it never waits for a full pipe.
fn pass_on(output: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(lines.send(line)));
    });
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
