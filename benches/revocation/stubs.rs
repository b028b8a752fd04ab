//! Nodes that only hold a lease for copies: a row that is renewed, and a subscription that acknowledges.
//!
//! Owns two threads: one renews the rows, each by a commit of its own as a node does, the other has two connections to
//! Redis for each of them. Must never let a row stand still: nobody would wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::StreamExt;
use sessiond::ledger::Db;
use sessiond::ledger::node_leases::{self, NodeLease};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::place::Place;
use crate::support::redis::Redis;

const LENGTH: Duration = Duration::from_secs(3);
const RENEWED_EVERY: Duration = Duration::from_millis(500);
/// A renewal that is later than this spoils the figures.
const LATEST: Duration = Duration::from_secs(2);
const ECHO_EVERY: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(10);
const REQUESTS: &str = "near:drop";

/// The stubs, until they are dropped.
pub struct Stubs {
    stop: watch::Sender<bool>,
    told: Arc<Told>,
    threads: Vec<JoinHandle<Result<()>>>,
    count: usize,
}

#[derive(Default)]
struct Told {
    /// Whether each sends messages to itself, as a node does.
    echoes: AtomicBool,
    acknowledged: AtomicU64,
}

impl Stubs {
    /// Starts so many, beside so many nodes that listen already; returns when all of them listen.
    pub async fn start(count: usize, nodes: usize, place: &Place, redis: &mut Redis) -> Result<Self> {
        let names: Arc<[String]> = (0..count).map(|number| format!("stub{number:012}")).collect();
        let (stop, told) = (watch::Sender::new(false), Arc::<Told>::default());
        let (db, its, until) = (place.connect()?, Arc::clone(&names), stop.subscribe());
        let rows = std::thread::spawn(move || keep_rows(db, &its, &until));
        let (client, until, its) = (redis::Client::open(redis.url())?, stop.subscribe(), Arc::clone(&told));
        let listening = std::thread::spawn(move || listen_all(&client, &names, &its, until));
        let mut stubs = Self { stop, told, threads: vec![rows, listening], count };
        let started = Instant::now();
        while listeners(redis)? < count + nodes {
            stubs.check()?;
            ensure!(started.elapsed() < PATIENCE, "not everybody listens");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(stubs)
    }

    /// From now on each sends messages to itself, as a node does, which all the others get, too.
    pub fn send_echoes(&self) {
        self.told.echoes.store(true, Ordering::SeqCst);
    }

    /// Fails when a thread has ended, or when they did not acknowledge so many messages since the last time.
    pub fn check_acknowledged(&mut self, messages: usize) -> Result<()> {
        self.check()?;
        let acknowledged = self.told.acknowledged.swap(0, Ordering::SeqCst);
        let expected = u64::try_from(messages * self.count)?;
        ensure!(acknowledged >= expected, "{acknowledged} of {expected} messages were acknowledged");
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        match self.threads.iter().position(JoinHandle::is_finished) {
            None => Ok(()),
            Some(ended) => self.threads.remove(ended).join().map_err(|_| anyhow!("a thread of the stubs has ended"))?,
        }
    }
}

impl Drop for Stubs {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // What went wrong was told by `check`.
            drop(thread.join());
        }
    }
}

/// Connections that hear what is to be dropped.
fn listeners(redis: &mut Redis) -> Result<usize> {
    let question = redis::cmd("PUBSUB").arg("NUMSUB").arg(REQUESTS).query(redis.connection());
    let (_channel, count): (String, usize) = question?;
    Ok(count)
}

fn lease(name: &str, round: i64) -> NodeLease {
    NodeLease::new(name.to_owned(), round, round - 1, true, LENGTH)
}

fn keep_rows(mut db: Db, names: &[String], stop: &watch::Receiver<bool>) -> Result<()> {
    names.iter().try_for_each(|name| node_leases::add(&mut db, &lease(name, 1)).map(drop))?;
    let pause = RENEWED_EVERY / u32::try_from(names.len())?.max(1);
    let mut due = Instant::now();
    for round in 2.. {
        for name in names {
            due += pause;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if *stop.borrow() {
                return Ok(names.iter().try_for_each(|name| node_leases::leave(&mut db, name))?);
            }
            ensure!(due.elapsed() < LATEST, "the stubs' rows were renewed too late");
            ensure!(node_leases::renew(&mut db, &lease(name, round))?, "the row of {name} is gone");
        }
    }
    Ok(())
}

fn listen_all(
    client: &redis::Client,
    names: &[String],
    told: &Arc<Told>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut listening = JoinSet::new();
        for (number, name) in names.iter().enumerate() {
            // Not all at once.
            let late = ECHO_EVERY.mul_f64(crate::support::figures::number(number) / 100.0 % 1.0);
            listening.spawn(listen(client.clone(), name.clone(), Arc::clone(told), late));
        }
        tokio::select! {
            ended = listening.join_next() => ended.context("there are no stubs")??,
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        }
    })
}

async fn listen(client: redis::Client, name: String, told: Arc<Told>, late: Duration) -> Result<()> {
    let (mut asking, mut messages) = client.get_async_pubsub().await?.split();
    asking.subscribe(REQUESTS).await?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut echoes = tokio::time::interval_at(tokio::time::Instant::from_std(Instant::now() + late), ECHO_EVERY);
    loop {
        let message = tokio::select! {
            message = messages.next() => message.context("the subscription has ended")?,
            _ = echoes.tick() => {
                if told.echoes.load(Ordering::SeqCst) {
                    publish(&mut connection, REQUESTS, &format!("{name} 0")).await?;
                }
                continue;
            }
        };
        let text: String = message.get_payload()?;
        let mut words = text.split(' ');
        let (Some(from), Some(number), Some(_)) = (words.next(), words.next(), words.next()) else { continue };
        publish(&mut connection, &format!("near:ack:{from}"), &format!("{name} {number}")).await?;
        told.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

async fn publish(connection: &mut redis::aio::MultiplexedConnection, channel: &str, text: &str) -> Result<()> {
    Ok(redis::cmd("PUBLISH").arg(channel).arg(text).exec_async(connection).await?)
}
