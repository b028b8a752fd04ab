//! The tools of the tests, tested: a private Redis comes back on its port, a proxy is as ill as it says.
//!
//! Owns nothing but assertions about `tests/support`. Must never say anything about sessiond.

mod redis_is_ours {
    use std::io::{Read, Write};

    use crate::support::redis::{Persistence, PrivateRedis};

    #[test]
    fn it_comes_back_empty_on_its_port_after_a_crash() {
        let redis = PrivateRedis::start();
        let url = redis.url();
        redis.cli::<()>(&["SET", "a", "1"]);
        redis.restart();
        assert_eq!(redis.url(), url);
        assert_eq!(redis.keys("*"), Vec::<String>::new());
    }

    #[test]
    fn it_keeps_what_its_persistence_keeps() {
        let aof = PrivateRedis::with(Persistence::Aof, &[]);
        aof.cli::<()>(&["SET", "a", "1"]);
        aof.restart();
        assert_eq!(aof.keys("*"), ["a"]);

        let rdb = PrivateRedis::with(Persistence::Rdb, &[]);
        rdb.cli::<()>(&["SET", "a", "1"]);
        rdb.terminate();
        rdb.restart();
        rdb.cli::<()>(&["SET", "b", "1"]);
        rdb.restart();
        assert_eq!(rdb.keys("*"), ["a"]);
    }

    #[test]
    fn an_old_snapshot_can_be_restored() {
        let redis = PrivateRedis::start();
        redis.cli::<()>(&["SET", "revoked", "1"]);
        let snapshot = redis.snapshot();
        redis.cli::<()>(&["DEL", "revoked"]);
        redis.restart_from(&snapshot);
        assert_eq!(redis.keys("*"), ["revoked"]);
        assert!(redis.dump_text().contains("revoked = Some(\"1\")"));
    }

    #[test]
    fn a_frozen_one_answers_nothing_until_it_goes_on() {
        let redis = PrivateRedis::start();
        redis.pause();
        let mut stream = std::net::TcpStream::connect(redis.address()).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        let mut answer = [0; 7];
        assert!(stream.read_exact(&mut answer).is_err());
        redis.resume();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+PONG\r\n");
    }

    #[test]
    fn the_monitor_sees_each_command_once() {
        let redis = PrivateRedis::start();
        let mut monitor = redis.monitor();
        redis.cli::<()>(&["SET", "a", "1"]);
        redis.cli::<()>(&["EVAL", "return redis.call('GET', 'a')", "0"]);
        let seen = monitor.commands();
        assert_eq!(seen[0], "\"SET\" \"a\" \"1\"");
        assert_eq!(seen[2], "lua \"GET\" \"a\"");
        assert_eq!(seen.len(), 3);
        assert_eq!(monitor.commands(), Vec::<String>::new());
    }
}

mod a_proxy {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use crate::support::proxy::{Proxy, contains};
    use crate::support::wait::stopwatch;

    const SHORT: Duration = Duration::from_millis(300);

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    /// What one read gives after `word` was sent; none when nothing comes for a while.
    async fn ask(stream: &mut TcpStream, word: &str) -> Option<std::io::Result<String>> {
        let _ = stream.write_all(word.as_bytes()).await;
        let mut buffer = [0; 64];
        let read = timeout(SHORT, stream.read(&mut buffer)).await.ok()?;
        Some(read.map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned()))
    }

    async fn asked(stream: &mut TcpStream, word: &str) -> Option<String> {
        ask(stream, word).await.map(Result::unwrap)
    }

    #[tokio::test]
    async fn passes_and_delays() {
        let proxy = Proxy::start(echo().await);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut stream, "one").await.as_deref(), Some("one"));
        proxy.delay(Duration::from_millis(60));
        let watch = stopwatch();
        assert_eq!(asked(&mut stream, "two").await.as_deref(), Some("two"));
        assert!(watch() >= Duration::from_millis(120), "once each way");
        proxy.pass();
        assert_eq!(asked(&mut stream, "three").await.as_deref(), Some("three"));
        assert_eq!(proxy.accepted(), 1);
    }

    #[tokio::test]
    async fn swallows_in_a_black_hole_and_resets_what_lost_bytes() {
        let proxy = Proxy::start(echo().await);
        let mut open = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut open, "one").await.as_deref(), Some("one"));
        proxy.black_hole();
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(ask(&mut open, "two").await.is_none());
        assert!(ask(&mut new, "two").await.is_none());
        proxy.pass();
        assert!(ask(&mut open, "").await.is_some_and(|answer| answer.is_err()));
        assert!(ask(&mut new, "").await.is_some_and(|answer| answer.is_err()));
        let mut fresh = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut fresh, "three").await.as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn cuts_with_a_reset() {
        let proxy = Proxy::start(echo().await);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut stream, "one").await.as_deref(), Some("one"));
        proxy.cut();
        let error = ask(&mut stream, "").await.unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut again, "two").await.as_deref(), Some("two"));
    }

    #[tokio::test]
    async fn refuses_and_comes_back_on_its_port() {
        let proxy = Proxy::start(echo().await);
        let mut open = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut open, "one").await.as_deref(), Some("one"));
        proxy.refuse();
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(asked(&mut open, "two").await.as_deref(), Some("two"));
        proxy.pass();
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut again, "three").await.as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn holds_one_message_back_and_nothing_else() {
        let proxy = Proxy::start(echo().await);
        let mut held = TcpStream::connect(proxy.address()).await.unwrap();
        let mut other = TcpStream::connect(proxy.address()).await.unwrap();
        let hold = proxy.hold_first(1, contains("PUT"));
        assert!(ask(&mut held, "a PUT").await.is_none());
        hold.caught().await;
        assert_eq!(asked(&mut other, "GET").await.as_deref(), Some("GET"));
        assert_eq!(asked(&mut other, "PUT").await.as_deref(), Some("PUT"), "only the first is held");
        assert_eq!(hold.count(), 1);
        hold.release();
        assert_eq!(asked(&mut held, "").await.as_deref(), Some("a PUT"));
    }

    /// What was asked for has reached the server; only the answer is on its way.
    #[tokio::test]
    async fn holds_one_answer_back_and_nothing_else() {
        let proxy = Proxy::start(echo().await);
        let mut held = TcpStream::connect(proxy.address()).await.unwrap();
        let mut other = TcpStream::connect(proxy.address()).await.unwrap();
        let hold = proxy.hold_next("PUT", "GET", true);
        assert_eq!(asked(&mut held, "GET").await.as_deref(), Some("GET"), "not before the other has come");
        assert_eq!(asked(&mut held, "PUT").await.as_deref(), Some("PUT"));
        assert_eq!(asked(&mut other, "GET").await.as_deref(), Some("GET"), "nor on another connection");
        assert!(ask(&mut held, "GET").await.is_none());
        hold.caught().await;
        assert_eq!(asked(&mut other, "PUT").await.as_deref(), Some("PUT"));
        assert_eq!(asked(&mut other, "GET").await.as_deref(), Some("GET"), "only the first is held");
        hold.release();
        assert_eq!(asked(&mut held, "").await.as_deref(), Some("GET"));
    }

    #[tokio::test]
    async fn stands_in_a_url() {
        let proxy = Proxy::start(echo().await);
        let address = proxy.address();
        assert_eq!(proxy.in_url("redis://127.0.0.1:1"), format!("redis://{address}"));
        let url = proxy.in_url("postgres://me:x@127.0.0.1:1/name?a=b");
        assert_eq!(url, format!("postgres://me:x@{address}/name?a=b"));
    }
}

mod a_database {
    use crate::support::database::Database;

    fn keeps_and_shows(database: &Database) {
        database.execute("CREATE TABLE things (id BIGINT, name TEXT, secret BYTEA)");
        database.execute("INSERT INTO things VALUES (1, 'one', NULL), (2, NULL, NULL)");
        assert_eq!(database.count("things", "name IS NULL"), 1);
        assert_eq!(database.value("SELECT name AS value FROM things WHERE id = 1"), "one");
        assert!(database.dump_text().contains("one"));
    }

    #[test]
    fn is_an_sqlite_file() {
        let database = Database::sqlite();
        keeps_and_shows(&database);
        database.execute("INSERT INTO things VALUES (3, NULL, x'abcd')");
        assert!(database.dump_text().contains("ABCD"));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn or_is_one_of_many_in_postgresql_and_is_dropped() {
        let (database, other) = (Database::postgres(), Database::postgres());
        keeps_and_shows(&database);
        keeps_and_shows(&other);
        database.execute(r"INSERT INTO things VALUES (3, NULL, '\xabcd')");
        assert!(database.dump_text().contains("ABCD"));
        let name = database.url().rsplit('/').next().unwrap().to_owned();
        drop(database);
        assert_eq!(other.count("pg_database", &format!("datname = '{name}'")), 0);
    }
}
