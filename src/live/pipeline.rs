//! Pipeline: sends the reads of several requests in one turn of their worker together.
//!
//! Owns the waiting batch, and which reader sends it. Sending one command costs the client about as much as sending
//! fifty, so under load this makes a check cheap; alone, a read waits for no other. Must never delay a read to collect
//! more.

use parking_lot::Mutex;
use redis::Pipeline;
use tokio::sync::oneshot;

use super::LiveError;
use super::key::Key;

/// Reads in one pipeline: further ones wait for the next, so that no answer waits for a long batch.
const MOST: usize = 64;

/// The text at a key, if there is any.
pub(super) type Text = Result<Option<Vec<u8>>, LiveError>;

/// Reads that are not sent yet.
#[derive(Default)]
pub(super) struct ReadPipeline {
    waiting: Mutex<Batch>,
}

/// Reads that are sent together, with a reader for each.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) pipeline: Pipeline,
    pub(super) readers: Vec<oneshot::Sender<Text>>,
}

/// Who sends the batch, and when.
pub(super) enum Flush {
    /// Another reader does.
    ByAnother,
    /// This reader, which is the first, after the others have had their turn.
    Soon,
    /// This reader at once: it is the last that fits.
    Now(Batch),
}

impl ReadPipeline {
    /// Adds a read. `GETEX` without options reads like `GET`, but counts as a write, so that a replica refuses it.
    pub(super) fn add(&self, key: Key<'_>) -> (Flush, oneshot::Receiver<Text>) {
        let (reader, answer) = oneshot::channel();
        let mut batch = self.waiting.lock();
        batch.pipeline.cmd("GETEX").arg(key);
        batch.readers.push(reader);
        let flush = match batch.readers.len() {
            1 => Flush::Soon,
            MOST.. => Flush::Now(std::mem::take(&mut batch)),
            _ => Flush::ByAnother,
        };
        (flush, answer)
    }

    /// Takes the waiting batch; empty when its last reader has sent it.
    pub(super) fn take(&self) -> Batch {
        std::mem::take(&mut self.waiting.lock())
    }
}
