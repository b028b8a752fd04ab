//! Standard error, written by a thread of its own.
//!
//! Owns the queue before that thread. Must never block or fail a logging thread: if standard error has no reader, is
//! full or is closed, lines are dropped and counted for the log.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

/// Most lines in the queue.
const MAX_WAITING: usize = 4_096;
/// How long the last lines may take at exit.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How often a full queue is retried in that time.
const PATIENCE: u32 = 50;

/// The queue's sender; cheap to clone.
#[derive(Clone)]
pub(super) struct Sink {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

enum Entry {
    Line(Vec<u8>),
    /// Tells its sender that all earlier lines are written.
    Mark(SyncSender<()>),
}

impl Sink {
    /// Starts writing to standard error.
    pub(super) fn start() -> io::Result<Self> {
        // A handle of its own: a write that never ends must not hold the lock that a panic needs.
        Self::onto(File::from(io::stderr().as_fd().try_clone_to_owned()?))
    }

    fn onto(to: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, waiting) = mpsc::sync_channel(MAX_WAITING);
        let dropped = Arc::<AtomicU64>::default();
        let lost = Arc::clone(&dropped);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&waiting, to, &lost))?;
        Ok(Self { queue, dropped })
    }

    /// Waits until all lines so far are written, for a bounded time.
    pub(super) fn finish(&self) {
        let (done, written) = mpsc::sync_channel(1);
        let mut mark = Entry::Mark(done);
        for _ in 0..PATIENCE {
            match self.queue.try_send(mark) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) => mark = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            thread::sleep(LAST_LINES / PATIENCE);
        }
        let _in_time = written.recv_timeout(LAST_LINES);
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Entry::Line(line.to_vec())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    /// Called for each line; must not wait.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(waiting: &Receiver<Entry>, mut to: impl Write, dropped: &AtomicU64) {
    for entry in waiting {
        match entry {
            // A reader may come back; until then the line is lost.
            Entry::Line(line) => {
                if to.write_all(&line).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
            Entry::Mark(done) => drop(done.try_send(())),
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            log::warn!("{lost} lines of this log are lost: standard error was not read in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that takes its input only when told to.
    struct Slow(Receiver<()>, Arc<parking_lot::Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().extend(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A reader that has gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted() {
        let mut sink = Sink::onto(Gone).unwrap();
        for _ in 0..3 {
            sink.write_all(b"x").unwrap();
        }
        let counted = (0..1_000).any(|_| {
            thread::sleep(Duration::from_millis(10));
            sink.dropped.load(Ordering::Relaxed) == 3
        });
        assert!(counted, "{:?}", sink.dropped);
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_lost_is_counted() {
        let (go_on, reads) = mpsc::channel();
        let written = Arc::default();
        let mut sink = Sink::onto(Slow(reads, Arc::clone(&written))).unwrap();
        for _ in 0..MAX_WAITING + 10 {
            sink.write_all(b"x").unwrap();
        }
        let lost = sink.dropped.load(Ordering::Relaxed);
        assert!((9..=10).contains(&lost), "one may be in the thread's hands: {lost}");
        drop(go_on);
        sink.finish();
        assert_eq!(written.lock().len(), MAX_WAITING + 10 - usize::try_from(lost).unwrap());
    }
}
