//! What is logged, and in which form.
//!
//! Owns the log format and the list of libraries that may log in detail. A message always fits on one line of bounded
//! length, the number of lines of one kind is bounded, no setting of `RUST_LOG` lets a library print request data, and
//! no logging thread waits for a reader. Must never be given a token, a password or a cookie: the calling code chooses
//! what it logs.

mod flood;
mod sink;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use env_logger::fmt::Formatter;
use env_logger::{Logger, Target, WriteStyle};
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::Serialize;

use crate::config::LogFormat;
use crate::domain::{Clock, SystemClock};

use flood::{Fate, Flood, cut};
use sink::Sink;

/// The libraries that may log at `debug` and `trace`; all others stop at `info`.
///
/// Lists the few that were reviewed rather than those known to say too much, so that a new dependency starts silent.
/// Known to say too much below `info`: `actix_http` prints the values of headers that it refuses (`h1::decoder`),
/// `actix_web` and `actix_identity` print errors that quote unreadable input, `actix_session` prints the keys of
/// session state, `rustls` prints whole handshake messages with their tickets, and `redis` prints errors that quote the
/// server's answer. `actix_server` prints sockets, workers and signals.
const IN_DETAIL: [&str; 2] = ["sessiond", "actix_server"];

/// Libraries that log errors only: their warnings concern single requests (a cookie that we did not sign, a session
/// that has ended), so any client could fill the log with them.
const BROKEN_ONLY: [&str; 2] = ["actix_session", "actix_identity"];

/// Libraries that do not log at all: they log an error for each request that is not HTTP, so any client could fill the
/// log with those too.
const SILENT: [&str; 1] = ["actix_http"];

/// Why logging could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` contains something other than levels.
    #[error("RUST_LOG has the invalid part {0:?}: write it like info or info,sessiond=debug.")]
    Filter(String),
    /// Other code has already set up a logger.
    #[error("Logging is already set up in this process.")]
    Twice,
}

/// Starts logging to standard error, at the level of `RUST_LOG` or else at `default`.
pub fn start(format: LogFormat, default: LevelFilter) -> Result<(), TelemetryError> {
    let asked = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = if asked.trim().is_empty() { default.to_string() } else { asked };
    check_filter(&filter)?;
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&filter).parse_write_style(&std::env::var("RUST_LOG_STYLE").unwrap_or_default());
    if has_colours() {
        builder.write_style(WriteStyle::Always);
    }
    if let Ok(sink) = Sink::start() {
        let _first = SINK.set(sink.clone());
        builder.target(Target::Pipe(Box::new(sink)));
    }
    builder.format(match format {
        LogFormat::Text => write_text,
        LogFormat::Json => write_json,
    });
    let capped = Capped::new(builder.build());
    let most = capped.logger.filter();
    log::set_boxed_logger(Box::new(capped)).map_err(|_| TelemetryError::Twice)?;
    log::set_max_level(most);
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// This process' queue to standard error.
static SINK: OnceLock<Sink> = OnceLock::new();

/// Whether standard error is a terminal and the environment does not disable colours.
fn has_colours() -> bool {
    let unset = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    unset("RUST_LOG_STYLE") && unset("NO_COLOR") && io::stderr().is_terminal()
}

/// Writes a last sentence to standard error, after all log lines. There may be no reader, so it takes a second at most.
pub fn say_last(sentence: Option<&str>) {
    let line = sentence.map(|sentence| format!("sessiond: {}\n", printable(sentence))).unwrap_or_default();
    // The exit code reports it if standard error fails.
    let _untold = match SINK.get() {
        Some(sink) => sink.clone().write_all(line.as_bytes()).map(|()| sink.finish()),
        None => io::stderr().write_all(line.as_bytes()),
    };
}

/// Logs a panic as a line like every other. Only its location: its message may quote the request.
fn log_panic(panic: &PanicHookInfo<'_>) {
    match panic.location() {
        Some(place) => log::error!("panicked at {place}"),
        None => log::error!("panicked"),
    }
    // The process may end with this panic.
    say_last(None);
}

/// Refuses a filter part that the parser would only skip with a warning.
fn check_filter(filter: &str) -> Result<(), TelemetryError> {
    let understood = |part: &str| match part.split_once('=') {
        Some((target, level)) => !target.contains(' ') && level.trim().parse::<LevelFilter>().is_ok(),
        None => !part.contains(['/', ' ']),
    };
    let mut parts = filter.split(',').map(str::trim).filter(|part| !part.is_empty());
    match parts.find(|part| !understood(part)) {
        Some(part) => Err(TelemetryError::Filter(part.to_owned())),
        None => Ok(()),
    }
}

/// A logger bound by [`limit`] for each library and by [`Flood`] for each minute.
struct Capped {
    logger: Logger,
    flood: Flood,
    clock: SystemClock,
}

impl Capped {
    fn new(logger: Logger) -> Self {
        Self { logger, flood: Flood::default(), clock: SystemClock::new() }
    }

    /// Writes a line about lines of this kind.
    fn say(&self, of: &Record<'_>, said: std::fmt::Arguments<'_>) {
        self.logger.log(&Record::builder().level(of.level()).target(of.target()).args(said).build());
    }
}

impl Log for Capped {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= limit(metadata.target()) && self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Detailed levels are not limited.
        if record.level() > Level::Info {
            return self.logger.log(record);
        }
        let site = (record.file_static().unwrap_or_default(), record.line().unwrap_or_default());
        let fate = self.flood.fate(site, self.clock.monotonic());
        if let Fate::WrittenAfter(missed) = fate {
            self.say(record, format_args!("{missed} lines like the next one were not written in the minute before"));
        }
        if fate != Fate::Counted {
            self.logger.log(record);
        }
        if fate == Fate::Last {
            self.say(record, format_args!("more lines like the last one are counted, and not written, for a minute"));
        }
    }

    fn flush(&self) {
        self.logger.flush();
    }
}

fn limit(target: &str) -> LevelFilter {
    let library = target.split("::").next().unwrap_or_default();
    if IN_DETAIL.contains(&library) {
        LevelFilter::Trace
    } else if BROKEN_ONLY.contains(&library) {
        LevelFilter::Error
    } else if SILENT.contains(&library) {
        LevelFilter::Off
    } else {
        LevelFilter::Info
    }
}

fn write_text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let style = out.default_level_style(record.level());
    let (time, level, target) = (out.timestamp_millis(), record.level(), printable(record.target()));
    writeln!(out, "{time} {style}{level:<5}{style:#} {target}: {}", printable(&cut(&record.args().to_string())))
}

/// One line of the JSON format.
#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    level: &'a str,
    target: &'a str,
    message: String,
}

fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let line = Line {
        ts: out.timestamp_millis().to_string(),
        level: record.level().as_str(),
        target: record.target(),
        message: cut(&record.args().to_string()).into_owned(),
    };
    writeln!(out, "{}", json_line(&line)?)
}

/// JSON escapes characters below the space; this function escapes the other control characters too.
fn json_line(line: &Line<'_>) -> io::Result<String> {
    let json = serde_json::to_string(line)?;
    Ok(replace(&json, |c, out| write!(out, "\\u{:04x}", u32::from(c))))
}

/// A text as one line that cannot move the cursor, colour the screen or reverse the reading direction: such characters
/// appear as escapes. For logs and for tables of foreign texts.
pub fn printable(text: &str) -> String {
    replace(text, |c, out| write!(out, "{}", c.escape_default()))
}

fn replace(text: &str, escape: impl Fn(char, &mut String) -> std::fmt::Result) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing to a String does not fail.
        let _ = if is_unprintable(c) { escape(c, &mut out) } else { out.write_char(c) };
    }
    out
}

fn is_unprintable(c: char) -> bool {
    let turns_direction = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns_direction || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_forge_a_line() {
        let nasty = "ana\r\n2026-01-01T00:00:00Z INFO sessiond: signed in\u{1b}[2J\u{9b}31m\u{202e}\u{2028}é";
        assert_eq!(
            printable(nasty),
            r"ana\r\n2026-01-01T00:00:00Z INFO sessiond: signed in\u{1b}[2J\u{9b}31m\u{202e}\u{2028}é"
        );
        let line = Line { ts: String::new(), level: "INFO", target: "t", message: nasty.to_owned() };
        let json = json_line(&line).unwrap();
        assert!(!json.chars().any(is_unprintable), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["message"], nasty);
    }

    #[test]
    fn libraries_never_speak_in_detail() {
        let mut builder = env_logger::Builder::new();
        let logger = Capped::new(builder.parse_filters("trace,actix_http::h1=trace,redis=debug").build());
        let enabled = |target, level| logger.enabled(&Metadata::builder().target(target).level(level).build());
        for target in ["actix_web::extract", "redis", "rustls::client::hs", "new_one"] {
            assert!(!enabled(target, log::Level::Debug) && enabled(target, log::Level::Info), "{target}");
        }
        assert!(enabled("sessiond::http", log::Level::Trace) && enabled("sessiond", log::Level::Trace));
        assert!(!enabled("sessiondx", log::Level::Debug));
        assert!(!enabled("actix_session::middleware", log::Level::Warn));
        assert!(!enabled("actix_http::h1::dispatcher", log::Level::Error), "a line for each malformed request");
    }

    #[test]
    fn a_filter_that_is_not_understood_is_refused() {
        for filter in ["info", "", "info,sessiond=debug,actix_server=off", "sessiond::live"] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
        }
        for filter in ["info,sessiond=loud", "a=b=info", "info/cookie"] {
            assert!(check_filter(filter).is_err(), "{filter}");
        }
    }
}
