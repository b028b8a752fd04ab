//! `sessiond user import`: users of another system, one JSON object in each line.
//!
//! Owns the form of a line, and what happens to a bad one. Must never print a hash, nor any other text of a bad line: it is
//! named by its number.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::{Role, Roles};
use crate::service::{App, AuditContext, ImportedUser};

use super::failure::Failure;
use super::output::Output;

/// Users in one transaction: with a single writer, other writes wait for it.
const BATCH: usize = 250;
/// Longest line, in bytes.
const MAX_LINE: usize = 8 * 1024;
/// Most lines: a dry run remembers sixteen bytes of each.
const MAX_LINES: u64 = 10_000_000;
/// Bad lines that are named; the rest are counted.
const NAMED: usize = 20;

/// What to import.
#[derive(Args)]
pub struct Import {
    /// The file, or - for standard input. Each line is an object: {"email", "name"?, "roles"?, "hash"?}
    file: PathBuf,
    /// Change nothing, only tell what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Import the other lines even if some are bad. Without it, bad lines in a file stop all of it
    #[arg(long)]
    skip_bad_lines: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    email: String,
    name: Option<String>,
    #[serde(default)]
    roles: Vec<Role>,
    hash: Option<String>,
}

/// A bad line.
#[derive(Serialize)]
struct BadLine {
    line: u64,
    why: String,
}

/// What happened, or would.
#[derive(Default, Serialize)]
struct Told {
    dry_run: bool,
    added: u64,
    /// Lines whose address had an account: they stay as they are.
    existing: u64,
    bad: u64,
    /// The first bad lines.
    bad_lines: Vec<BadLine>,
}

/// Runs the command.
pub async fn run(app: &App, wanted: &Import, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let is_stream = wanted.file == Path::new("-");
    if !is_stream && !wanted.skip_bad_lines {
        check(&wanted.file, out)?;
    }
    let mut told = Told { dry_run: wanted.dry_run, ..Told::default() };
    let imported = match is_stream {
        true => import(app, wanted, io::stdin().lock(), &mut told).await,
        false => import(app, wanted, opened(&wanted.file)?, &mut told).await,
    };
    // Also what was done before a bad line.
    tell(&told, wanted.json, out)?;
    imported
}

/// Reads the whole file before anything is done.
fn check(file: &Path, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let mut told = Told::default();
    let mut lines = Lines::new(opened(file)?);
    while let Some(read) = lines.next()? {
        if let Err(why) = read {
            told.refuse(lines.number, why);
        }
    }
    if told.bad == 0 {
        return Ok(());
    }
    told.name_bad_lines(out)?;
    Err(Failure::failed(format!(
        "Nothing was imported: bad lines: {}. Correct them, or leave them out with --skip-bad-lines.",
        told.bad
    )))
}

fn opened(file: &Path) -> Result<BufReader<File>, Failure> {
    let failed = |error| Failure::failed(format!("{} cannot be read: {error}.", file.display()));
    let opened = File::open(file).map_err(failed)?;
    // It is read twice, and a pipe has nothing left for the second time.
    if !opened.metadata().map_err(failed)?.is_file() {
        return Err(Failure::failed(format!("{} is no regular file: write - to read standard input.", file.display())));
    }
    Ok(BufReader::new(opened))
}

async fn import(app: &App, wanted: &Import, input: impl BufRead, told: &mut Told) -> Result<(), Failure> {
    let mut lines = Lines::new(input);
    let mut seen = Seen::default();
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(read) = lines.next()? {
        match read {
            Ok(user) => batch.push(user),
            Err(why) => {
                told.refuse(lines.number, why);
                if !wanted.skip_bad_lines {
                    add(app, std::mem::take(&mut batch), &mut seen, told).await?;
                    return Err(Failure::failed(format!(
                        "Line {} is bad, so the import stopped there; the lines before it are done.",
                        lines.number
                    )));
                }
            }
        }
        if batch.len() == BATCH {
            add(app, std::mem::take(&mut batch), &mut seen, told).await?;
        }
    }
    add(app, batch, &mut seen, told).await
}

async fn add(app: &App, batch: Vec<ImportedUser>, seen: &mut Seen, told: &mut Told) -> Result<(), Failure> {
    if batch.is_empty() {
        return Ok(());
    }
    let all = u64::try_from(batch.len()).unwrap_or(u64::MAX);
    let added = match told.dry_run {
        true => {
            let known = app.users.known_addresses(&batch).await?;
            batch.iter().filter(|user| seen.is_new(user.key()) && !known.contains(user.key())).count()
        }
        false => app.users.import_users(batch, &AuditContext::command_line()).await?,
    };
    let added = u64::try_from(added).unwrap_or(all);
    told.added += added;
    told.existing += all.saturating_sub(added);
    Ok(())
}

/// The addresses that a dry run has met: the second line of one address would find an account.
#[derive(Default)]
struct Seen {
    hashes: HashSet<u64>,
    by: RandomState,
}

impl Seen {
    fn is_new(&mut self, key: &str) -> bool {
        self.hashes.insert(self.by.hash_one(key))
    }
}

/// The lines of a file, with their numbers.
struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(input: R) -> Self {
        Self { input, number: 0 }
    }

    /// The next user, or what is wrong with the line; none at the end. Skips empty lines.
    fn next(&mut self) -> Result<Option<Result<ImportedUser, String>>, Failure> {
        loop {
            let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LINE + 1));
            let most = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
            if self.input.by_ref().take(most).read_until(b'\n', &mut bytes).map_err(unread)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.number > MAX_LINES {
                return Err(Failure::failed(format!("There are more than {MAX_LINES} lines: split the file.")));
            }
            if bytes.len() > MAX_LINE {
                self.skip_rest(bytes.ends_with(b"\n"))?;
                return Ok(Some(Err(format!("the line has more than {MAX_LINE} bytes."))));
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(read(&bytes)));
            }
        }
    }

    fn skip_rest(&mut self, mut is_over: bool) -> Result<(), Failure> {
        while !is_over {
            let some = self.input.fill_buf().map_err(unread)?;
            let end = some.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(some.len(), |end| end + 1);
            is_over = end.is_some() || length == 0;
            self.input.consume(length);
        }
        Ok(())
    }
}

fn unread(error: io::Error) -> Failure {
    Failure::failed(format!("The input cannot be read: {error}."))
}

/// The parser's own words would repeat parts of the line.
fn read(bytes: &[u8]) -> Result<ImportedUser, String> {
    let line: Line = serde_json::from_slice(bytes).map_err(|_| {
        "it is not one JSON object with the fields email, name, roles (user, admin) and hash alone.".to_owned()
    })?;
    let roles = line.roles.into_iter().fold(Roles::new_account(), Roles::with);
    ImportedUser::read(&line.email, line.name.as_deref(), roles, line.hash)
}

impl Told {
    fn refuse(&mut self, line: u64, why: String) {
        self.bad += 1;
        if self.bad_lines.len() < NAMED {
            self.bad_lines.push(BadLine { line, why });
        }
    }

    fn name_bad_lines(&self, out: &mut Output<impl Write>) -> Result<(), Failure> {
        self.bad_lines.iter().try_for_each(|BadLine { line, why }| out.line(&format!("Line {line}: {why}")))?;
        let unnamed = self.bad.saturating_sub(u64::try_from(self.bad_lines.len()).unwrap_or_default());
        if unnamed == 0 { Ok(()) } else { out.line(&format!("More bad lines: {unnamed}.")) }
    }
}

fn tell(told: &Told, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    if json {
        return out.json(told);
    }
    told.name_bad_lines(out)?;
    let verb = if told.dry_run { "would be imported" } else { "imported" };
    let Told { added, existing, bad, .. } = told;
    out.line(&format!(
        "Users {verb}: {added}. Left alone, because the address has an account: {existing}. Bad lines: {bad}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Vec<(u64, Result<String, String>)> {
        let mut lines = Lines::new(text.as_bytes());
        let mut all = Vec::new();
        while let Some(read) = lines.next().unwrap() {
            all.push((lines.number, read.map(|user| user.key().to_owned())));
        }
        all
    }

    #[test]
    fn a_line_is_read_strictly_and_named_by_its_number() {
        let long = format!("{{\"email\":\"{}\"}}", "x".repeat(3 * MAX_LINE));
        let text = format!("{{\"email\":\"Ana@example.org\"}}\n\n{long}\r\n{{\"email\":\"b@example.org\"}}");
        let read = read_all(&text);
        assert_eq!(read[0], (1, Ok("ana@example.org".to_owned())));
        assert!(matches!(&read[1], (3, Err(why)) if why.contains("bytes")), "{read:?}");
        assert_eq!(read[2], (4, Ok("b@example.org".to_owned())));
        for line in [
            "{}",
            "[]",
            "{\"email\":\"a@example.org\",\"password\":\"secret\"}",
            "{\"email\":\"a@example.org\",\"roles\":[\"secret\"]}",
            "{\"email\":\"a@example.org\",\"hash\":\"secret\"}",
            "{\"email\":\"a@example.org\",\"hash\":[\"secret\"]}",
            "{\"email\":\"secret\"}",
            "{\"email\":\"a@example.org\",\"name\":\"secret\\u202e\"}",
            "{\"email\":\"a@example.org\"} secret",
            "secret",
        ] {
            let read = read_all(line);
            assert!(matches!(&read[..], [(1, Err(why))] if !why.contains("secret")), "{line}: {read:?}");
        }
    }
}
