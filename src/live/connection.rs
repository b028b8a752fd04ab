//! Connection: a connection that knows its Redis process.
//!
//! Owns [`Stamped`], one connection to one Redis process that the ledger has enrolled. A connection in any doubt about
//! its process is broken for good: it must never be repaired, and must never reconnect.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline, RedisResult, Script, Value};
use tokio::time::sleep;

use super::address::Node;
use super::fault::{Fault, out_of_step};
use super::key::Key;
use super::pipeline::{Batch, Flush, ReadPipeline, Text};
use super::process::{Replication, shard};
use super::sentinel::Sentinels;
use super::{Enrolled, LiveError, StoreLease};
use crate::domain::{Process, Shard, Stamp};

/// How often each connection checks that it still talks to the same master.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Deletions, or messages, that are sent before the first answer is awaited.
const CHUNK: usize = 128;

/// A connection to one process, with that process' stamp. Many requests share it cheaply.
pub(super) struct Stamped {
    redis: MultiplexedConnection,
    stamp: Stamp,
    lease: Arc<StoreLease>,
    replid: String,
    /// Its slots, if it is a node of a cluster.
    shard: Option<Shard>,
    /// The Sentinels that named it the master, and the address that they gave.
    elected: Option<(Arc<Sentinels>, Node)>,
    /// Whether only its own replicas could take its place.
    alone: bool,
    broken: AtomicBool,
    reads: ReadPipeline,
}

impl Stamped {
    /// A connection to an enrolled process; watched from now on.
    pub(super) fn new(
        redis: MultiplexedConnection,
        enrolled: Enrolled,
        process: Process,
        elected: Option<(Arc<Sentinels>, Node)>,
        alone: bool,
    ) -> Arc<Self> {
        let (Enrolled { stamp, lease }, Process { replid, shard, .. }) = (enrolled, process);
        let broken = AtomicBool::new(false);
        let stamped = Arc::new(Self {
            redis,
            stamp,
            lease,
            replid,
            shard,
            elected,
            alone,
            broken,
            reads: ReadPipeline::default(),
        });
        tokio::spawn(watch(Arc::downgrade(&stamped)));
        stamped
    }

    /// The underlying connection, to check whether it still answers.
    pub(super) fn redis(&self) -> MultiplexedConnection {
        self.redis.clone()
    }

    /// Whether the process was enrolled for this slot.
    pub(super) fn serves(&self, slot: u16) -> bool {
        self.shard.as_ref().is_none_or(|shard| shard.slots.contains(slot))
    }

    pub(super) fn store_lease(&self) -> Arc<StoreLease> {
        Arc::clone(&self.lease)
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether an answer on this connection may be trusted when the stopwatch shows `monotonic`.
    pub(super) fn trusted(&self, monotonic: Duration) -> bool {
        !self.broken() && self.lease.holds(monotonic)
    }

    /// Whether the connection may still be used.
    pub(super) fn usable(&self) -> bool {
        !self.broken() && !self.lease.retired()
    }

    /// Whether it has failed for good.
    pub(super) fn broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Reads a text. A key of another type counts as empty.
    pub(super) async fn text(self: &Arc<Self>, key: Key<'_>) -> Text {
        let (flush, answer) = self.reads.add(key);
        // Separate tasks: a client that hangs up cancels only its own read.
        match flush {
            Flush::ByAnother => {}
            Flush::Soon => {
                let connection = Arc::clone(self);
                drop(tokio::spawn(async move { connection.send(connection.reads.take()).await }));
            }
            Flush::Now(batch) => {
                let connection = Arc::clone(self);
                drop(tokio::spawn(async move { connection.send(batch).await }));
            }
        }
        answer.await.unwrap_or_else(|_| Err(LiveError::Down("the worker is stopping".to_owned())))
    }

    /// Sends reads and gives each reader its own answer: an error of one key does not affect the others.
    async fn send(&self, Batch { pipeline, readers }: Batch) {
        if readers.is_empty() {
            return;
        }
        let fault = match self.redis().send_packed_commands(&pipeline, 0, readers.len()).await {
            Ok(values) if values.len() == readers.len() => {
                for (reader, value) in readers.into_iter().zip(values) {
                    // A reader that has gone needs no answer.
                    let _gone = reader.send(self.as_text(value));
                }
                return;
            }
            Ok(_) => out_of_step(),
            Err(error) => error.into(),
        };
        let error = self.fail(fault);
        for reader in readers {
            let _gone = reader.send(Err(error.clone()));
        }
    }

    fn as_text(&self, value: Value) -> Text {
        match value.extract_error() {
            Ok(Value::BulkString(text)) => Ok(Some(text)),
            Ok(Value::Nil) => Ok(None),
            Ok(_) => Err(self.fail(out_of_step())),
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Runs the compare-and-set script: none when `new` was stored, else the present text (empty when there is none).
    pub(super) async fn compare_and_set(
        &self,
        script: &Script,
        key: Key<'_>,
        [expected, new]: [&[u8]; 2],
        lifetime: Duration,
    ) -> Result<Option<Vec<u8>>, LiveError> {
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let mut call = script.key(key);
        call.arg(expected).arg(new).arg(lifetime);
        match self.settle(call.invoke_async(&mut self.redis.clone()).await)? {
            Value::Nil => Ok(None),
            Value::BulkString(stands) => Ok(Some(stands)),
            _ => Err(self.fail(out_of_step())),
        }
    }

    /// Deletes every key with its own command (no transaction: Redis refuses all of one when its memory is full).
    pub(super) async fn delete(&self, keys: &[Key<'_>]) -> Result<(), LiveError> {
        for chunk in keys.chunks(CHUNK) {
            let mut pipeline = Pipeline::with_capacity(chunk.len());
            for key in chunk {
                pipeline.cmd("DEL").arg(*key);
            }
            let deleted: Vec<i64> = self.settle(pipeline.query_async(&mut self.redis.clone()).await)?;
            if deleted.len() != chunk.len() {
                return Err(self.fail(out_of_step()));
            }
        }
        Ok(())
    }

    /// Sends several commands at once that concern no record.
    pub(super) async fn ask<T: FromRedisValue>(&self, questions: &Pipeline) -> Result<T, LiveError> {
        self.settle(questions.query_async(&mut self.redis()).await)
    }

    /// Publishes messages, each to every subscriber of its channel, a bounded number at a time.
    pub(super) async fn publish(&self, messages: &[(String, String)]) -> Result<(), LiveError> {
        for chunk in messages.chunks(CHUNK) {
            let mut pipeline = Pipeline::with_capacity(chunk.len());
            for (channel, text) in chunk {
                pipeline.cmd("PUBLISH").arg(channel).arg(text).ignore();
            }
            self.settle(pipeline.exec_async(&mut self.redis()).await)?;
        }
        Ok(())
    }

    /// Pings the process.
    pub(super) async fn ping(&self) -> Result<(), LiveError> {
        self.settle(redis::cmd("PING").exec_async(&mut self.redis.clone()).await)
    }

    fn settle<T>(&self, answer: RedisResult<T>) -> Result<T, LiveError> {
        answer.map_err(|error| self.fail(error))
    }

    /// Classifies a fault; a fault that puts the process in doubt breaks the connection.
    fn fail(&self, fault: impl Into<Fault>) -> LiveError {
        let Fault { error, fatal } = fault.into();
        if fatal {
            self.break_off();
        }
        error
    }

    fn break_off(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    /// Checks that the process is still the same master of the same slots; records whether it still has no replica.
    async fn examine(&self) -> Result<(), LiveError> {
        let mut question = redis::cmd("INFO");
        question.arg("replication");
        let info: String = self.settle(question.query_async(&mut self.redis()).await)?;
        match Replication::parse(&info) {
            Some(now) if now.master && now.replid == self.replid => self.lease.set_solo(now.solo && self.alone),
            _ => return Err(LiveError::FencedOff("it is no longer the same master".to_owned())),
        }
        self.examine_shard().await?;
        match &self.elected {
            Some((sentinels, address)) if sentinels.name_another(address).await => {
                Err(LiveError::FencedOff("the Sentinels name another master".to_owned()))
            }
            _ => Ok(()),
        }
    }

    async fn examine_shard(&self) -> Result<(), LiveError> {
        let Some(was) = &self.shard else { return Ok(()) };
        let nodes: String = self.settle(redis::cmd("CLUSTER").arg("NODES").query_async(&mut self.redis()).await)?;
        match shard(&nodes) {
            Some(now) if now.slots == was.slots && now.epoch == was.epoch => Ok(()),
            _ => Err(LiveError::FencedOff("it no longer serves the same slots of its cluster".to_owned())),
        }
    }
}

impl fmt::Debug for Stamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamped").field("stamp", &self.stamp).field("broken", &self.broken()).finish_non_exhaustive()
    }
}

/// Checks the connection every second, until it is dropped or broken. Holds it only during the check.
async fn watch(connection: Weak<Stamped>) {
    loop {
        sleep(HEARTBEAT).await;
        let Some(connection) = connection.upgrade().filter(|connection| connection.usable()) else { return };
        if let Err(error) = connection.examine().await {
            connection.break_off();
            log::warn!("closing a connection to Redis: {error}");
            return;
        }
    }
}
