//! Counters of attempts: how often was guessed, across all nodes.
//!
//! They are no records. None of them says yes to anybody, losing them loses a count, and so no stamp and no belief is
//! asked for; whoever counts goes on by itself when Redis does not answer. Each command touches one key and needs no
//! script, and each counter has a time to live.
//!
//! A tally is a hash with a field for each of the last attempts: its number, and when it began. An attempt is claimed by
//! putting the next number there, which Redis lets one caller do and no other (`HSETNX`): so of many who read the same
//! tally at the same time one goes on.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt;
use redis::{FromRedisValue, Pipeline};

use super::key::Key;
use super::{Live, LiveError};
use crate::domain::throttle::Tally;
use crate::domain::{BucketId, Timestamp};

/// Attempts whose times are kept: of so many under way at once, each can be given back by itself.
const KEPT: u32 = 8;

impl Live {
    /// The attempts that were made.
    pub async fn tally(&self, bucket: &BucketId) -> Result<Tally, LiveError> {
        let key = self.tally_key(bucket);
        let mut question = Pipeline::with_capacity(1);
        question.cmd("HGETALL").arg(key);
        let (fields,): (HashMap<Vec<u8>, Vec<u8>>,) = self.ask(key, &question).await?;
        Ok(fields.iter().filter_map(read).max_by_key(|tally| tally.count).unwrap_or_default())
    }

    /// Makes the attempt of this number one's own; false when another was faster. It is remembered for `memory`.
    pub async fn claim(
        &self,
        bucket: &BucketId,
        number: u32,
        now: Timestamp,
        memory: Duration,
    ) -> Result<bool, LiveError> {
        let key = self.tally_key(bucket);
        let mut claim = Pipeline::with_capacity(3);
        claim.cmd("HSETNX").arg(key).arg(number).arg(now.ms());
        claim.cmd("PEXPIRE").arg(key).arg(lifetime(memory)).ignore();
        claim.cmd("HDEL").arg(key).arg(number.saturating_sub(KEPT)).ignore();
        let (claimed,): (bool,) = self.ask(key, &claim).await?;
        Ok(claimed)
    }

    /// Takes a claimed attempt back.
    pub async fn give_back(&self, bucket: &BucketId, number: u32) -> Result<(), LiveError> {
        let key = self.tally_key(bucket);
        let mut command = Pipeline::with_capacity(1);
        command.cmd("HDEL").arg(key).arg(number).ignore();
        self.ask(key, &command).await
    }

    /// Forgets all attempts.
    pub async fn clear(&self, bucket: &BucketId) -> Result<(), LiveError> {
        let key = self.tally_key(bucket);
        let mut command = Pipeline::with_capacity(1);
        command.cmd("DEL").arg(key).ignore();
        self.ask(key, &command).await
    }

    /// What a plain count is.
    pub async fn counted(&self, bucket: &BucketId) -> Result<i64, LiveError> {
        let key = self.tally_key(bucket);
        let mut question = Pipeline::with_capacity(1);
        question.cmd("GET").arg(key);
        let (count,): (Option<i64>,) = self.ask(key, &question).await?;
        Ok(count.unwrap_or_default())
    }

    /// Changes a plain count by so much and tells what it is then. It is remembered for `memory`.
    pub async fn count(&self, bucket: &BucketId, by: i64, memory: Duration) -> Result<i64, LiveError> {
        let key = self.tally_key(bucket);
        let mut command = Pipeline::with_capacity(2);
        command.cmd("INCRBY").arg(key).arg(by);
        command.cmd("PEXPIRE").arg(key).arg(lifetime(memory)).ignore();
        let (count,): (i64,) = self.ask(key, &command).await?;
        Ok(count)
    }

    fn tally_key<'a>(&'a self, bucket: &'a BucketId) -> Key<'a> {
        Key::attempts(&self.shared.prefix, bucket)
    }

    /// Asks, and once more over a new connection when the first broke: a moment's slowness is no reason to be stricter.
    /// What was done although it was not answered is then counted twice, which errs on the safe side.
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

/// A field of a tally; none for one that nobody of us wrote.
fn read((number, began): (&Vec<u8>, &Vec<u8>)) -> Option<Tally> {
    let count = std::str::from_utf8(number).ok()?.parse().ok()?;
    let began: i64 = std::str::from_utf8(began).ok()?.parse().ok()?;
    Some(Tally { count, last: Some(Timestamp::from_ms(began)) })
}

fn lifetime(memory: Duration) -> u64 {
    u64::try_from(memory.as_millis()).unwrap_or(u64::MAX).max(1)
}
