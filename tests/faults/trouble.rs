//! The trouble: three nodes behind proxies of their own, and whatever can befall them, Redis and PostgreSQL.
//!
//! Owns the servers of such a run, and its dice. Each kind of trouble comes once, in an order of chance, before any comes again.
#![cfg(feature = "postgres")]

use std::time::Duration;

use sessiond::server::open_ledger;
use sessiond::service::App;

use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::redis::{Persistence, PrivateRedis};
use crate::support::server::Stores;
use crate::support::settings::Settings;

/// Nodes.
const NODES: usize = 3;

/// Three nodes on one PostgreSQL and one Redis, each behind two proxies of its own.
pub struct System {
    /// Behind everything.
    pub stores: Stores,
    nodes: Vec<Process>,
    to_redis: Vec<Proxy>,
    to_sql: Vec<Proxy>,
    /// What Redis held before the last trouble.
    before: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    RedisKilled,
    RedisFlushed,
    RedisFrozen,
    RedisRestored,
    RedisCut,
    RedisUnreachable,
    RedisSlow,
    SqlCut,
    SqlUnreachable,
    SqlSlow,
    NodeKilled,
    NodeFrozen,
}

use Trouble::*;

const ALL: [Trouble; 12] = [
    RedisKilled,
    RedisFlushed,
    RedisFrozen,
    RedisRestored,
    RedisCut,
    RedisUnreachable,
    RedisSlow,
    SqlCut,
    SqlUnreachable,
    SqlSlow,
    NodeKilled,
    NodeFrozen,
];

impl System {
    /// Everything well, with these settings besides.
    pub fn start(further: &[(&str, &str)]) -> Self {
        let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::with(Persistence::Rdb, &[])));
        let Database::Postgres(database) = &stores.database else { panic!("PostgreSQL") };
        let to_redis: Vec<_> = (0..NODES).map(|_| Proxy::start(stores.redis().address())).collect();
        let to_sql: Vec<_> = (0..NODES).map(|_| Proxy::start(database.address())).collect();
        let settings = |redis: &Proxy, sql: &Proxy| {
            let settings = stores.settings().with("DATABASE_URL", &sql.in_url(&stores.database.url()));
            let settings = settings.with("REDIS_URL", &redis.in_url(&stores.redis().url()));
            // Nothing but a revocation may end a session here.
            settings.with("SESSIOND_MAX_SESSIONS", "10000").with_all(further)
        };
        let nodes = to_redis.iter().zip(&to_sql).map(|(redis, sql)| Process::start(&settings(redis, sql)));
        let (nodes, before) = (nodes.collect(), stores.redis().snapshot());
        Self { stores, nodes, to_redis, to_sql, before }
    }

    /// Where the nodes are.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Process::url).collect()
    }

    /// The service on the same ledger, past all trouble: it serves nothing and confirms nothing.
    pub async fn app(&self) -> (App, Settings) {
        let settings = self.stores.settings().without("REDIS_URL").with("SESSIOND_MAX_SESSIONS", "10000");
        (open_ledger(&settings.config().expect("settings")).await.expect("the ledger"), settings)
    }

    /// One trouble after the other, each for so long and with so long a rest, until `over`. What it was.
    pub fn suffer(mut self, ill: Duration, rest: Duration, over: impl Fn() -> bool) -> (Self, Vec<String>) {
        let (mut dice, mut bag, mut told) = (Dice::new(), Vec::new(), Vec::new());
        loop {
            std::thread::sleep(rest / 2);
            let now = self.stores.redis().snapshot();
            std::thread::sleep(rest / 2);
            if over() {
                return (self, told);
            }
            if bag.is_empty() {
                bag.extend(ALL);
            }
            let trouble = match told.len() {
                // Never left out, however short the run is.
                0 => RedisFlushed,
                1 => RedisRestored,
                _ => bag.swap_remove(dice.below(bag.len())),
            };
            // One node alone, or all of them.
            let number = dice.below(NODES + 1);
            let which = if number < NODES { number..number + 1 } else { 0..NODES };
            told.push(format!("{trouble:?} {which:?}"));
            self.befall(trouble, which, ill);
            self.before = now;
        }
    }

    fn befall(&mut self, trouble: Trouble, which: std::ops::Range<usize>, ill: Duration) {
        let redis = self.stores.redis();
        let (to_redis, to_sql) = (&self.to_redis[which.clone()], &self.to_sql[which.clone()]);
        let while_ill = |proxies: &[Proxy], make: fn(&Proxy)| {
            proxies.iter().for_each(make);
            std::thread::sleep(ill);
            proxies.iter().for_each(Proxy::pass);
        };
        match trouble {
            RedisKilled => {
                redis.kill();
                std::thread::sleep(ill / 2);
                redis.restart();
            }
            RedisFlushed => redis.cli::<()>(&["FLUSHALL"]),
            RedisFrozen => {
                redis.pause();
                std::thread::sleep(ill);
                redis.resume();
            }
            RedisRestored => redis.restart_from(&self.before),
            RedisCut => to_redis.iter().for_each(Proxy::cut),
            RedisUnreachable => while_ill(to_redis, Proxy::black_hole),
            RedisSlow => while_ill(to_redis, |proxy| proxy.delay(Duration::from_millis(600))),
            SqlCut => to_sql.iter().for_each(Proxy::cut),
            SqlUnreachable => while_ill(to_sql, Proxy::black_hole),
            SqlSlow => while_ill(to_sql, |proxy| proxy.delay(Duration::from_millis(100))),
            NodeKilled => {
                let node = &mut self.nodes[which.start];
                node.kill();
                std::thread::sleep(ill / 4);
                node.restart();
            }
            NodeFrozen => {
                let node = &self.nodes[which.start];
                node.pause();
                std::thread::sleep(ill);
                node.resume();
            }
        }
    }
}

/// Chance, of each client its own.
pub struct Dice(u64);

impl Dice {
    /// With a start of its own.
    pub fn new() -> Self {
        Self(crate::support::ports::random() | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % end.max(1)
    }

    /// One of these, if there is any.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.below(of.len())).copied()
    }
}
