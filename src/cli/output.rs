//! What a command prints: aligned tables for people, JSON for programs.
//!
//! Owns [`Output`]. Must never pass a foreign text to the terminal as anything but plain text.

use std::io::{self, Write};

use serde::Serialize;

use crate::telemetry::printable;

use super::failure::Failure;

/// Space between two columns.
const GAP: usize = 2;

/// Standard output, or a buffer in tests.
pub struct Output<W> {
    to: W,
}

impl<W: Write> Output<W> {
    /// Prints to `to`.
    pub fn new(to: W) -> Self {
        Self { to }
    }

    /// Prints one line.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.to, "{}", printable(text)).map_err(unwritten)
    }

    /// Prints one value as one line of JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_string(value).map_err(io::Error::from)?;
        writeln!(self.to, "{json}").map_err(unwritten)
    }

    /// Prints rows in columns as wide as their widest cell.
    pub fn rows<const N: usize>(&mut self, rows: &[[String; N]]) -> Result<(), Failure> {
        let cells: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
        let mut widths = [0; N];
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &cells {
            let padded: String =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<w$}", w = width + GAP)).collect();
            writeln!(self.to, "{}", padded.trim_end()).map_err(unwritten)?;
        }
        Ok(())
    }
}

fn unwritten(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::Unwritten(format!("the output cannot be written: {error}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_are_only_text() {
        let mut bytes = Vec::new();
        let row = |cells: [&str; 2]| cells.map(str::to_owned);
        Output::new(&mut bytes)
            .rows(&[row(["EMAIL", "NAME"]), row(["jos\u{e9}@example.org", "\u{1b}[2J\nroot"]), row(["b@c.d", ""])])
            .unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes).unwrap(), @r"
        EMAIL             NAME
        josé@example.org  \u{1b}[2J\nroot
        b@c.d
        ");
    }

    #[test]
    fn a_reader_that_left_is_no_fault() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(Output::new(Gone).line("x"), Err(Failure::ReaderGone));
    }
}
