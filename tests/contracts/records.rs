//! Records: what is trusted, what is doubted, and what a write leaves behind.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use sessiond::domain::{Clock, MovableClock, SessionId, SystemRandom};
use sessiond::live::{Live, LiveConfig, LiveError, NewRecord, Record};

use crate::contracts::fence::FakeFence;
use crate::contracts::world::{IP, MINUTE, World, hash, key, on_each_topology, pause, until};
use crate::support::redis::PrivateRedis;

const SECOND: Duration = Duration::from_secs(1);

on_each_topology! {
    async fn a_record_comes_back_as_it_was_put(world: World) {
        let (hash, put) = world.on_record().await;
        let got = world.record(&hash).await.record;
        let expected = Record {
            stamp: world.fence.stamp(),
            session: put.session,
            user: put.user,
            last_seen: put.last_seen,
            expires: put.expires,
            idle: put.idle,
            has_data: put.has_data,
            device: put.device,
            proven_at: put.proven_at,
            ip: put.ip,
            acting: None,
        };
        assert_eq!(got, expected);
        assert_eq!(world.text(&hash), Some(expected.to_text(&hash)));
    }

    async fn a_record_under_another_hash_is_not_trusted(world: World) {
        let (stolen, _) = world.on_record().await;
        let own = hash();
        world.plant(&own, &world.text(&stolen).unwrap());
        assert_eq!(world.doubt(&own).await.stale, None);
        world.record(&stolen).await;
    }

    async fn a_record_past_a_deadline_is_a_doubt_that_still_tells_when_it_was_last_seen(world: World) {
        let idle = world.on_record().await;
        let over = (hash(), NewRecord { expires: world.now().plus(31 * MINUTE), ..world.session() });
        world.fill(&over.0, &over.1).await;
        let at = |ms: u64| idle.1.last_seen.plus(30 * MINUTE + Duration::from_millis(ms));
        let before = world.live.read(&idle.0, at(0).minus(Duration::from_millis(1))).await.unwrap();
        assert!(matches!(before, sessiond::live::Seen::Record(_)));
        world.clock.advance(30 * MINUTE);
        assert_eq!(world.doubt(&idle.0).await.stale.map(|stale| stale.last_seen), Some(idle.1.last_seen));
        world.clock.rewind(30 * MINUTE);
        world.clock.advance(31 * MINUTE);
        assert_eq!(world.doubt(&over.0).await.stale.map(|stale| stale.expires), Some(over.1.expires));
    }

    async fn whatever_is_no_record_is_a_doubt_and_can_be_filled(world: World) {
        let (real, _) = world.on_record().await;
        let record = world.text(&real).unwrap();
        let long = "x".repeat(100_000);
        for garbage in ["", "x", "1 2 3", "lease", "lease x", &long, &record.replacen('1', "2", 1), &format!("{record} ")] {
            let hash = hash();
            world.plant(&hash, garbage);
            assert_eq!(world.doubt(&hash).await.stale, None, "{garbage}");
            world.fill(&hash, &world.session()).await;
            world.record(&hash).await;
        }
    }

    async fn a_key_of_another_type_is_a_doubt_and_can_be_filled(world: World) {
        let hash = hash();
        world.at(&hash).cli::<()>(&["HSET", &key(&hash), "user", "me"]);
        assert_eq!(world.doubt(&hash).await.stale, None);
        world.fill(&hash, &world.session()).await;
        world.record(&hash).await;
    }

    async fn touch_writes_last_seen_and_address_and_keeps_a_time_to_live(world: World) {
        let (hash, put) = world.on_record().await;
        let seen = world.record(&hash).await;
        world.clock.advance(10 * MINUTE);
        let (now, ip): (_, IpAddr) = (world.now(), "2001:db8::7".parse().unwrap());
        assert!(world.live.touch(&seen, now, ip, now).await.unwrap());
        let touched = world.record(&hash).await.record;
        assert_eq!((touched.last_seen, touched.ip), (now, ip));
        assert_eq!(touched, Record { last_seen: now, ip, ..seen.record.clone() });
        let full = i64::try_from((31 * MINUTE).as_millis()).unwrap();
        assert!((full - 2_000..=full).contains(&world.time_to_live(&hash)));
        assert!(touched.expires == put.expires);
        assert!(!world.live.touch(&seen, now, IP, now).await.unwrap(), "it is no longer the record that was read");
    }

    async fn touch_after_delete_does_nothing_and_creates_nothing(world: World) {
        let (hash, _) = world.on_record().await;
        let seen = world.record(&hash).await;
        world.live.delete(&[hash]).await.unwrap();
        let now = world.now();
        assert!(!world.live.touch(&seen, now, IP, now).await.unwrap());
        assert_eq!(world.redis.sum(&["DBSIZE"]), 0);
        let _lease = world.lease(&hash).await;
        assert!(!world.live.touch(&seen, now, IP, now).await.unwrap(), "nor does it write over a lease");
        assert!(world.text(&hash).unwrap().starts_with("lease "));
    }

    async fn every_key_has_a_time_to_live_at_most_the_remaining_absolute_lifetime(world: World) {
        for (absolute, idle) in [(1, 30), (60, 30), (1_700, 1_800), (3_600, 1_800), (86_400, 4 * 86_400)] {
            let (hash, now) = (hash(), world.now());
            let (expires, idle) = (now.plus(absolute * SECOND), idle * SECOND);
            let lease = world.lease(&hash).await;
            assert!((1..=5_000).contains(&world.time_to_live(&hash)), "a lease lasts five seconds");
            let record = NewRecord { last_seen: now, expires, idle, ..world.session() };
            assert!(world.live.put(lease, &record, now).await.unwrap());
            let limit = i64::try_from(expires.since(now).as_millis()).unwrap();
            assert!((1..=limit).contains(&world.time_to_live(&hash)), "after put: {absolute} s");
            let seen = world.record(&hash).await;
            assert!(world.live.touch(&seen, now.plus(SECOND), IP, now.plus(SECOND / 2)).await.unwrap());
            assert!((1..=limit - 500).contains(&world.time_to_live(&hash)), "after touch: {absolute} s");
        }
    }

    async fn a_record_that_is_over_when_it_is_put_is_gone_at_once(world: World) {
        let hash = hash();
        let over = NewRecord { expires: world.now().minus(SECOND), ..world.session() };
        assert!(world.live.put(world.lease(&hash).await, &over, world.now()).await.unwrap());
        pause(10).await;
        assert_eq!(world.time_to_live(&hash), -2);
    }

    async fn delete_takes_what_stands_anywhere_and_tells_whose(world: World) {
        let mut hashes = Vec::new();
        for _ in 0..60 {
            hashes.push(world.on_record().await.0);
        }
        hashes.push(hash());
        let mut deleted = world.live.delete(&hashes).await.unwrap();
        let mut known = world.fence.stamps();
        known.sort_by_key(|stamp| *stamp.as_bytes());
        deleted.sort_by_key(|stamp| *stamp.as_bytes());
        assert_eq!(deleted, known, "one stamp for each master");
        assert_eq!(world.redis.sum(&["DBSIZE"]), 0);
        assert_eq!(world.live.delete(&hashes).await.unwrap().len(), known.len(), "deleting again is no error");
        for hash in &hashes {
            world.doubt(hash).await;
        }
    }

    async fn a_list_reads_over_all_masters(world: World) {
        let mut hashes = Vec::new();
        for _ in 0..20 {
            hashes.push(world.on_record().await.0);
        }
        let gone = hash();
        hashes.push(gone);
        let found = world.live.read_many(&hashes, world.now()).await;
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [&[true; 20][..], &[false]].concat());
        world.live.ping().await.unwrap();
        world.live.announce(&[world.session().session]).await.unwrap();
    }
}

#[tokio::test]
async fn records_are_trusted_only_from_the_process_they_were_written_to() {
    let world = World::new();
    let (hash, _) = world.on_record().await;
    let (before, text) = (world.fence.stamp(), world.text(&hash));
    let backup = world.redis.snapshot();
    world.redis.restart_from(&backup);
    assert_eq!(world.text(&hash), text, "the backup brought it back");
    until("connected again", async || world.live.ping().await.is_ok()).await;
    assert_eq!(world.doubt(&hash).await.stale, None);
    assert_ne!(world.fence.stamp(), before);
    world.fill(&hash, &world.session()).await;
    world.record(&hash).await;
}

#[tokio::test]
async fn a_lease_that_lapsed_or_was_retired_is_a_doubt() {
    let world = World::new();
    world.fence.trust_for(Duration::from_millis(300));
    let (hash, _) = world.on_record().await;
    world.record(&hash).await;
    // The process is current, but nobody has said so for too long.
    pause(300).await;
    assert_eq!(world.doubt(&hash).await.stale, None);
    world.fence.lease().extend_until(world.clock.monotonic() + 60 * SECOND);
    world.record(&hash).await;
    // Another process took its place: the connection goes, and what the next one reads bears a foreign stamp.
    world.fence.lease().retire();
    world.fence.forget();
    assert_eq!(world.doubt(&hash).await.stale, None);
    assert_eq!(world.fence.asked(), 2);
}

#[tokio::test]
async fn delete_takes_many_over_one_connection_and_tells_whose() {
    let world = World::new();
    let mut hashes = Vec::new();
    for _ in 0..300 {
        hashes.push(world.on_record().await.0);
    }
    hashes.push(hash());
    let monitor = Monitor::start(&world.redis);
    assert_eq!(world.live.delete(&hashes).await, Ok(vec![world.fence.stamp()]));
    assert_eq!(world.redis.cli::<i64>(&["DBSIZE"]), 0);
    let (clients, keys) = monitor.deletions(&world.redis);
    assert_eq!((clients, keys), (1, 301));
    assert_eq!(world.live.delete(&hashes).await, Ok(vec![world.fence.stamp()]), "deleting again is no error");
    assert_eq!(world.live.delete(&[]).await, Ok(vec![world.fence.stamp()]));
}

#[tokio::test]
async fn a_list_reads_what_it_can() {
    let world = World::new();
    let (one, first) = world.on_record().await;
    let (two, second) = world.on_record().await;
    let gone = hash();
    let found = world.live.read_many(&[one, gone, two], world.now()).await;
    let sessions: Vec<_> = found.iter().map(|record| record.as_ref().map(|record| record.session)).collect();
    assert_eq!(sessions, [Some(first.session), None, Some(second.session)]);
    world.redis.kill();
    assert_eq!(world.live.read_many(&[one, gone], world.now()).await, [None, None]);
}

#[tokio::test]
async fn a_read_is_exactly_one_command() {
    let world = World::new();
    let (there, _) = world.on_record().await;
    world.redis.cli::<()>(&["CONFIG", "RESETSTAT"]);
    for _ in 0..50 {
        world.record(&there).await;
        world.doubt(&hash()).await;
    }
    let stats: String = world.redis.cli(&["INFO", "commandstats"]);
    let calls = |line: &str| line.split_once(":calls=").map(|(name, rest)| (name.to_owned(), rest.to_owned()));
    let mut seen: BTreeSet<String> = stats.lines().filter_map(calls).map(|(name, _)| name).collect();
    // The test's own connection, and the heartbeat that comes once in a second.
    for own in ["cmdstat_config|resetstat", "cmdstat_client|setinfo", "cmdstat_client", "cmdstat_info"] {
        seen.remove(own);
    }
    assert_eq!(seen, BTreeSet::from(["cmdstat_getex".to_owned()]));
    assert!(stats.contains("cmdstat_getex:calls=100,"), "{stats}");
}

#[tokio::test]
async fn keys_and_channel_bear_the_prefix_in_the_database_of_the_url() {
    let world = World::over(PrivateRedis::start(), |config| {
        config.url = format!("{}/3?protocol=resp3", config.url);
        config.prefix = "shop:".to_owned();
    });
    let mut listener = redis::Client::open(world.redis.url()).unwrap().get_connection().unwrap();
    let mut channel = listener.as_pubsub();
    channel.subscribe("shop:changed").unwrap();
    let (hash, _) = world.on_record().await;
    world.record(&hash).await;
    let session = SessionId::generate(world.clock.now(), &SystemRandom);
    world.live.announce(&[session]).await.unwrap();
    let heard = channel.get_message().unwrap().get_payload::<String>().unwrap();
    let (node, about) = heard.split_once(' ').unwrap();
    assert_eq!((node.len(), about), (16, session.to_string().as_str()));
    let keys: String = world.redis.cli(&["INFO", "keyspace"]);
    assert!(keys.contains("db3:keys=1,") && !keys.contains("db0"), "{keys}");
    let [process] = world.fence.processes().try_into().unwrap();
    assert_eq!((process.database, process.prefix.as_str()), (3, "shop:"));
    assert_eq!((process.run_id.len(), process.replid.len()), (40, 40));
}

#[tokio::test]
async fn a_flushed_script_cache_is_no_matter() {
    let world = World::new();
    let (hash, _) = world.on_record().await;
    world.redis.cli::<()>(&["SCRIPT", "FLUSH"]);
    let seen = world.record(&hash).await;
    assert!(world.live.touch(&seen, world.now(), IP, world.now()).await.unwrap());
}

#[test]
fn a_bad_url_is_one_sentence_without_the_password() {
    let open = |url: &str| {
        let clock = Arc::new(MovableClock::default());
        Live::open(LiveConfig::new(url), FakeFence::new(Arc::<MovableClock>::clone(&clock)), clock).map(|_| ())
    };
    for url in [
        "",
        "secret",
        "http://:secret@localhost",
        "redis://:secret@localhost/x",
        "redis://:secret@a:b/",
        "redis://:secret@localhost:1,redis://localhost:2/1",
        "redis+sentinel://:secret@localhost/",
    ] {
        let error = open(url).unwrap_err();
        assert!(matches!(error, LiveError::BadUrl(_)), "{url}: {error:?}");
        let text = error.to_string();
        assert!(!text.contains("secret") && !text.contains('\n') && text.contains("redis://["), "{text}");
    }
    assert_eq!(open("rediss://:secret@localhost"), Ok(()));
    assert!(!format!("{:?}", LiveConfig::new("redis://:secret@localhost")).contains("secret"));
}

/// Every command that reaches a Redis, with the address that it came from.
struct Monitor(BufReader<TcpStream>);

impl Monitor {
    fn start(redis: &PrivateRedis) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.address().port())).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        lines.read_line(&mut String::new()).unwrap();
        Self(lines)
    }

    /// How many clients sent `DEL`, and how many keys were deleted so.
    fn deletions(self, redis: &PrivateRedis) -> (usize, usize) {
        redis.cli::<String>(&["ECHO", "the end"]);
        let lines = self.0.lines().map(Result::unwrap).take_while(|line| !line.contains("the end"));
        let deletions: Vec<String> =
            lines.filter(|line| line.contains("\"DEL\"") && line.contains("session:")).collect();
        // A new connection tries it out on a key that is no session's.
        let deletions: Vec<String> = deletions.into_iter().filter(|line| !line.contains("\"session:\"")).collect();
        let clients: BTreeSet<&str> = deletions.iter().filter_map(|line| line.split(['[', ']']).nth(1)).collect();
        assert!(deletions.iter().all(|line| line.matches("\"session:").count() == 1), "one key in each command");
        (clients.len(), deletions.len())
    }
}
