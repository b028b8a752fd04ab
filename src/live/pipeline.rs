//! Reads of one connection, gathered: what several requests ask in one turn of their worker is sent as one pipeline.
//!
//! Owns the batch that waits to be sent, and whose duty it is to send it. Sending a command costs the client about as
//! much as sending fifty, so under load this is what makes a check cheap; alone, a read waits for no other. Must never
//! hold a read back for company.

use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::Pipeline;
use tokio::sync::oneshot;

use super::LiveError;
use super::key::Key;

/// Reads in one pipeline: more wait for the next, so that no answer is held back by a long row of others.
const MOST: usize = 64;

/// What stands at a key, if anything.
pub(super) type Text = Result<Option<Vec<u8>>, LiveError>;

/// Reads that are yet to be sent.
#[derive(Default)]
pub(super) struct ReadPipeline {
    waiting: Mutex<Batch>,
}

/// Reads that go out together, and who waits for each.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) pipeline: Pipeline,
    pub(super) readers: Vec<oneshot::Sender<Text>>,
}

/// What a reader has to do for all.
pub(super) enum Duty {
    /// Somebody else sends it.
    None,
    /// It is the first: once the others have had their turn, whatever waits is to be sent.
    SendSoon,
    /// It is the last that fits.
    SendNow(Batch),
}

impl ReadPipeline {
    /// Adds a read. `GETEX` without options reads like `GET`, but counts as a write, so that a replica refuses it.
    pub(super) fn add(&self, key: Key<'_>) -> (Duty, oneshot::Receiver<Text>) {
        let (reader, answer) = oneshot::channel();
        let mut batch = self.lock();
        batch.pipeline.cmd("GETEX").arg(key);
        batch.readers.push(reader);
        let duty = match batch.readers.len() {
            1 => Duty::SendSoon,
            MOST.. => Duty::SendNow(std::mem::take(&mut batch)),
            _ => Duty::None,
        };
        (duty, answer)
    }

    /// What waits; nothing when it filled up and was sent by its last reader.
    pub(super) fn take(&self) -> Batch {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
