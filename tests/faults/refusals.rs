//! One Redis that answers, but with an error or with nonsense.
//!
//! Owns the rows of refusals: no more clients, a replica, a server that still loads, a script that does not end, a
//! password, a key of another type, a record that is not what was written.
#![cfg(feature = "postgres")]

use std::time::Duration;

use redis::{Connection, RedisResult};

use crate::faults::recovery::{A_WHILE, Drill, a_while, two_nodes};
use crate::support::client::Anonymous;
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::redis::{Persistence, PrivateRedis};
use crate::support::server::Stores;
use crate::support::wait::stopwatch;

fn over(redis: PrivateRedis) -> (Stores, [Process; 2], Vec<String>) {
    let stores = Stores::of(Database::postgres_with_tables(), Some(redis));
    let (nodes, urls) = two_nodes(&stores.settings());
    (stores, nodes, urls)
}

async fn under_traffic<'a>(row: &'a str, stores: &'a Stores, urls: &[String]) -> Drill<'a> {
    let mut drill = Drill::begin(row, stores, urls).await;
    drill.end_some().await;
    drill.open_to_traffic();
    a_while().await;
    drill
}

/// A command over a connection that was made before the fault.
fn say(connection: &mut Connection, command: &[&str]) {
    let (name, arguments) = command.split_first().expect("a command has a name");
    redis::cmd(name).arg(arguments).exec(connection).unwrap_or_else(|error| panic!("{command:?}: {error}"));
}

/// Connects until nobody else can.
fn crowd(redis: &PrivateRedis) -> Vec<Connection> {
    let mut crowd = Vec::new();
    let greet = |mut connection: Connection| -> RedisResult<Connection> {
        redis::cmd("CLIENT").arg("SETNAME").arg("crowd").exec(&mut connection)?;
        Ok(connection)
    };
    while let Ok(connection) = redis.connect().and_then(greet) {
        crowd.push(connection);
        assert!(crowd.len() < 1_000, "there is no limit");
    }
    crowd
}

/// Everybody who is connected and not of the crowd is thrown out.
fn throw_out_the_others(control: &mut Connection) {
    let clients: String = redis::cmd("CLIENT").arg("LIST").query(control).expect("a list");
    for client in clients.lines().filter(|client| !client.contains("name=crowd") && !client.contains("cmd=client")) {
        let id = client.split(' ').next().and_then(|field| field.strip_prefix("id=")).expect("an id");
        // It may have gone by itself.
        let _gone = redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query::<i64>(control);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maxclients_before_the_server_is_connected() {
    let redis = PrivateRedis::with(Persistence::None, &["--maxclients", "50"]);
    let crowd = crowd(&redis);
    let (stores, nodes, urls) = over(redis);
    let drill = under_traffic("maxclients, before", &stores, &urls).await;
    assert!(nodes.iter().all(|node| node.output().contains("continuing without Redis")), "the log says so");
    drop(crowd);
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maxclients_after_the_server_is_connected() {
    let (stores, nodes, urls) = over(PrivateRedis::with(Persistence::None, &["--maxclients", "50"]));
    let drill = under_traffic("maxclients, after", &stores, &urls).await;
    let mut control = stores.redis().connect().expect("a connection");
    let mut connected = crowd(stores.redis());
    a_while().await;
    // And then they lose their places to others.
    let watch = stopwatch();
    while watch() < 2 * A_WHILE {
        throw_out_the_others(&mut control);
        connected.extend(crowd(stores.redis()));
    }
    assert!(nodes.iter().all(|node| node.output().contains("continuing without Redis")), "they were kept out");
    drop(connected);
    drill.recovers(&[stores.redis()]).await;
}

/// It keeps all that it holds, and missed nothing: but nobody can know that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readonly() {
    let (stores, _nodes, urls) = over(PrivateRedis::start());
    let drill = under_traffic("READONLY", &stores, &urls).await;
    stores.redis().cli::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    tokio::time::sleep(2 * A_WHILE).await;
    stores.redis().cli::<()>(&["REPLICAOF", "NO", "ONE"]);
    drill.recovers(&[stores.redis()]).await;
    assert_eq!(stores.database.count("live_store", "1 = 1"), 2, "a demoted Redis is another one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loading() {
    // So slowly, and with an ear for those who ask meanwhile.
    let slow = ["--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"];
    let (stores, _nodes, urls) = over(PrivateRedis::with(Persistence::Rdb, &slow));
    let drill = under_traffic("LOADING", &stores, &urls).await;
    let before = stores.redis().snapshot();
    let watch = stopwatch();
    let mut refused = 0;
    std::thread::scope(|scope| {
        let restarting = scope.spawn(|| stores.redis().restart_from(&before));
        while !restarting.is_finished() {
            let answer = stores.redis().try_cli::<String>(&["PING"]);
            refused += usize::from(answer.is_err_and(|error| error.code() == Some("LOADING")));
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    println!("LOADING: for about {:?}, said {refused} times", watch());
    // How often depends on how busy the machine is.
    assert!(refused > 0, "it said so");
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy() {
    let (stores, _nodes, urls) = over(PrivateRedis::with(Persistence::None, &["--busy-reply-threshold", "100"]));
    let drill = under_traffic("BUSY", &stores, &urls).await;
    let mut other = stores.redis().connect().expect("a connection");
    let script = std::thread::spawn(move || {
        let ended: RedisResult<()> = redis::cmd("EVAL").arg("while true do end").arg(0).query(&mut other);
        ended.expect_err("it is killed")
    });
    tokio::time::sleep(3 * A_WHILE).await;
    let answer = stores.redis().try_cli::<String>(&["PING"]);
    assert!(answer.is_err_and(|error| error.code() == Some("BUSY")), "a script runs");
    stores.redis().cli::<()>(&["SCRIPT", "KILL"]);
    script.join().expect("the script ends");
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noauth() {
    let (stores, nodes, urls) = over(PrivateRedis::start());
    let drill = under_traffic("NOAUTH", &stores, &urls).await;
    let mut control = stores.redis().connect().expect("a connection");
    say(&mut control, &["CONFIG", "SET", "requirepass", "secret"]);
    a_while().await;
    say(&mut control, &["CLIENT", "KILL", "TYPE", "normal"]);
    tokio::time::sleep(2 * A_WHILE).await;
    assert!(nodes.iter().all(|node| node.output().contains("NOAUTH")), "the log says why");
    say(&mut control, &["CONFIG", "SET", "requirepass", ""]);
    drill.recovers(&[stores.redis()]).await;
}

/// Whoever listens for revocations hears of none, and the operator does once.
#[tokio::test]
async fn noperm_to_publish() {
    let stores = Stores::of(Database::sqlite(), Some(PrivateRedis::start()));
    stores.redis().cli::<()>(&["ACL", "SETUSER", "default", "-publish"]);
    let node = Process::start(&stores.settings());
    let owner = node.anonymous().sign_up().await;
    for _ in 0..3 {
        let victim = owner.sign_in_again().await;
        owner.end_session(&victim.session_id).await.assert_status(204);
        victim.me().await.assert_status(401);
    }
    let log = node.output();
    assert_eq!(log.matches("grant Redis' user +publish and &changed").count(), 1, "{log}");
}

/// A record, and what may be put in its place. Never what stood there before: bringing a deleted record back is what
/// nothing can be told from.
struct StoredRecord<'a> {
    redis: &'a PrivateRedis,
    key: &'a str,
    now: &'a str,
    /// Other sessions' records, under their keys.
    others: &'a [(String, String)],
    /// Somebody whose sessions these are not.
    outsider: &'a str,
}

impl StoredRecord<'_> {
    fn put(&self, text: &str) {
        self.redis.cli::<()>(&["SET", self.key, text, "PX", "60000"]);
    }
}

fn records(redis: &PrivateRedis) -> Vec<(String, String)> {
    let text = |key: String| redis.try_cli::<String>(&["GET", &key]).ok().map(|text| (key, text));
    redis.keys("session:*").into_iter().filter_map(text).filter(|(_, text)| text.starts_with("1 ")).collect()
}

/// Puts something else in every record's place, over and over.
async fn instead_of_records(row: &str, put: impl Fn(&StoredRecord<'_>)) {
    let (stores, _nodes, urls) = over(PrivateRedis::start());
    let redis = stores.redis();
    let outsider = Anonymous::at(&urls[0]).sign_up().await.user_id;
    let drill = under_traffic(row, &stores, &urls).await;
    let others = records(redis);
    let (watch, mut replaced) = (stopwatch(), 0);
    while watch() < 2 * A_WHILE {
        for (key, now) in records(redis) {
            put(&StoredRecord { redis, key: &key, now: &now, others: &others, outsider: &outsider });
            replaced += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{row}: {replaced} times");
    assert!(replaced > 0);
    drill.recovers(&[redis]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrongtype() {
    instead_of_records("WRONGTYPE", |StoredRecord { redis, key, now, .. }| {
        redis.cli::<()>(&["DEL", key]);
        // Somebody may have been faster with a lease.
        let _refused = match now.len() % 2 {
            0 => redis.try_cli::<i64>(&["RPUSH", key, now]),
            _ => redis.try_cli::<i64>(&["HSET", key, "user", now]),
        };
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_garbage() {
    instead_of_records("garbage", |record| record.put("\u{1}\u{fffd} 1 1 1 1 1 1")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_cut_off() {
    instead_of_records("a truncated record", |record| {
        record.put(record.now.get(..record.now.len() * 9 / 10).unwrap_or_default());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_another_session() {
    instead_of_records("another session's record", |record| {
        let start = record.others.iter().position(|(key, _)| key == record.key).unwrap_or_default();
        let other =
            record.others.iter().cycle().skip(start).take(record.others.len()).find(|(key, _)| key != record.key);
        record.put(other.map_or("", |(_, text)| text));
    })
    .await;
}

/// All of it is as it was, but for the user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_with_another_users_id() {
    instead_of_records("another user's id", |record| {
        let fields = record.now.split(' ').enumerate();
        let forged: Vec<&str> = fields.map(|(at, field)| if at == 4 { record.outsider } else { field }).collect();
        record.put(&forged.join(" "));
    })
    .await;
}
