//! Attempt counters: how many password attempts were made, across all nodes.
//!
//! They are no records. No counter says yes to a request, and a lost counter only loses a count, so they need no stamp
//! and no store lease; a node goes on by itself when Redis does not answer. Each command touches one key and needs no
//! script, and each counter has a time to live.
//!
//! A counter is a hash with a field for each of the last attempts: its number, and when it began. A node claims an
//! attempt by writing the next number there, which Redis allows only one caller (`HSETNX`): so of many callers that
//! read the same counter at once, one goes on.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt;
use redis::{FromRedisValue, Pipeline};

use super::key::Key;
use super::{Live, LiveError};
use crate::domain::throttle::AttemptCount;
use crate::domain::{BucketId, Timestamp};

/// Attempts whose times are kept: each of this many concurrent attempts can be given back separately.
const KEPT: u32 = 8;

impl Live {
    /// The attempts made so far.
    pub async fn attempts(&self, bucket: &BucketId) -> Result<AttemptCount, LiveError> {
        let key = self.attempts_key(bucket);
        let mut question = Pipeline::with_capacity(1);
        question.cmd("HGETALL").arg(key);
        let (fields,): (HashMap<Vec<u8>, Vec<u8>>,) = self.ask(key, &question).await?;
        Ok(fields.iter().filter_map(read).max_by_key(|attempts| attempts.count).unwrap_or_default())
    }

    /// Claims the attempt with this number; false when another caller was faster. It is remembered for `memory`.
    pub async fn claim(
        &self,
        bucket: &BucketId,
        number: u32,
        now: Timestamp,
        memory: Duration,
    ) -> Result<bool, LiveError> {
        let key = self.attempts_key(bucket);
        let mut claim = Pipeline::with_capacity(3);
        claim.cmd("HSETNX").arg(key).arg(number).arg(now.ms());
        claim.cmd("PEXPIRE").arg(key).arg(lifetime(memory)).ignore();
        claim.cmd("HDEL").arg(key).arg(number.saturating_sub(KEPT)).ignore();
        let (claimed,): (bool,) = self.ask(key, &claim).await?;
        Ok(claimed)
    }

    /// Takes a claimed attempt back.
    pub async fn give_back(&self, bucket: &BucketId, number: u32) -> Result<(), LiveError> {
        let key = self.attempts_key(bucket);
        let mut command = Pipeline::with_capacity(1);
        command.cmd("HDEL").arg(key).arg(number).ignore();
        self.ask(key, &command).await
    }

    /// Clears all attempts.
    pub async fn clear(&self, bucket: &BucketId) -> Result<(), LiveError> {
        let key = self.attempts_key(bucket);
        let mut command = Pipeline::with_capacity(1);
        command.cmd("DEL").arg(key).ignore();
        self.ask(key, &command).await
    }

    /// The value of a plain counter.
    pub async fn counted(&self, bucket: &BucketId) -> Result<i64, LiveError> {
        let key = self.attempts_key(bucket);
        let mut question = Pipeline::with_capacity(1);
        question.cmd("GET").arg(key);
        let (count,): (Option<i64>,) = self.ask(key, &question).await?;
        Ok(count.unwrap_or_default())
    }

    /// Changes a plain counter by this much and returns its new value. It is remembered for `memory`.
    pub async fn count(&self, bucket: &BucketId, by: i64, memory: Duration) -> Result<i64, LiveError> {
        let key = self.attempts_key(bucket);
        let mut command = Pipeline::with_capacity(2);
        command.cmd("INCRBY").arg(key).arg(by);
        command.cmd("PEXPIRE").arg(key).arg(lifetime(memory)).ignore();
        let (count,): (i64,) = self.ask(key, &command).await?;
        Ok(count)
    }

    fn attempts_key<'a>(&'a self, bucket: &'a BucketId) -> Key<'a> {
        Key::attempts(&self.shared.prefix, bucket)
    }

    /// Sends a query, and once more over a new connection when the first broke: a moment's slowness is no reason for a
    /// stricter limit. A command that ran without an answer then counts twice, which is the safe side.
    async fn ask<T: FromRedisValue>(&self, key: Key<'_>, questions: &Pipeline) -> Result<T, LiveError> {
        match self.ask_once(key, questions).await {
            Err(LiveError::Timeout | LiveError::Down(_)) => self.ask_once(key, questions).await,
            Err(error) if self.shared.route.corrected_after(&error).await => self.ask_once(key, questions).await,
            answer => answer,
        }
    }

    async fn ask_once<T: FromRedisValue>(&self, key: Key<'_>, questions: &Pipeline) -> Result<T, LiveError> {
        self.connections.connection(key).boxed().await?.ask(questions).await
    }
}

/// A field of a counter; none for a field that this program does not write.
fn read((number, began): (&Vec<u8>, &Vec<u8>)) -> Option<AttemptCount> {
    let count = std::str::from_utf8(number).ok()?.parse().ok()?;
    let began: i64 = std::str::from_utf8(began).ok()?.parse().ok()?;
    Some(AttemptCount { count, last: Some(Timestamp::from_ms(began)) })
}

fn lifetime(memory: Duration) -> u64 {
    u64::try_from(memory.as_millis()).unwrap_or(u64::MAX).max(1)
}
