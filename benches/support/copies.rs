//! Copies in the memory of nodes: whether they answer.
//!
//! Owns the wait for them. A node's word is not taken: the first question must reach Redis, or the ledger answers, and the
//! last one must not.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::load::Client;
use super::redis::Redis;

/// A node has to serve for ten seconds first, and to hold its lease again after it lost it.
const PATIENCE: Duration = Duration::from_secs(30);
/// So often a question is repeated at once: the record is written, it is read, the copy answers.
const AT_ONCE: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);

/// Asks each of these nodes a question that none of them was asked before, until all answer it from copies. Nobody else may
/// ask anything of this Redis meanwhile.
pub async fn warm(redis: &mut Redis, addresses: &[&str], question: &[u8]) -> Result<()> {
    let started = Instant::now();
    for address in addresses {
        until(redis, &[address], question, started, true).await?;
    }
    until(redis, addresses, question, started, false).await
}

/// Asks each of these nodes until Redis is asked, or until it is not.
async fn until(
    redis: &mut Redis,
    addresses: &[&str],
    question: &[u8],
    started: Instant,
    should_ask: bool,
) -> Result<()> {
    for round in 0.. {
        let before = redis.calls("getex")?;
        for address in addresses {
            let status = Client::connect(address).await?.ask(question).await?.status;
            ensure!(status == 200, "a session was answered with {status} before it was ended");
        }
        if (redis.calls("getex")? > before) == should_ask {
            break;
        }
        ensure!(started.elapsed() < PATIENCE, "not every node answers from a copy after {PATIENCE:?}");
        if round >= AT_ONCE {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
