//! Sick stores: losing Redis signs nobody out and brings nobody back; losing SQL is 503, never 401.
#![cfg(feature = "postgres")]

use std::time::Duration;

use serde_json::json;

use crate::support::client::{COOKIE, PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::requests::{Requests, Response};
use crate::support::server::{Backend, Stores, TestServer};
use crate::support::topologies::{await_link, replicating};
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(15);

async fn start() -> TestServer {
    TestServer::start(Backend::Production).await
}

/// A sick store, honestly: come back later, and the cookie is left alone.
fn assert_come_back(answer: &Response, slug: &str) {
    answer.assert_problem(503, slug);
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer}");
    assert!(answer.set_cookies().is_empty(), "the cookie is untouched: {answer}");
}

async fn forward(who: &SignedIn) -> u16 {
    who.get("/auth/forward").await.status
}

async fn until_settled(server: &TestServer) {
    let unconfirmed = async || server.stores.database.count("pending_invalidations", "1 = 1") == 0;
    until("revocations are confirmed", PATIENCE, unconfirmed).await;
}

#[tokio::test]
async fn without_redis_everything_goes_on_and_a_revocation_says_that_it_is_not_confirmed() {
    let server = start().await;
    let owner = server.signed_in().await;
    let (warm, cold, bystander) = (server.issue(&owner).await, server.issue(&owner).await, server.issue(&owner).await);
    assert_eq!((forward(&warm).await, forward(&bystander).await), (200, 200));
    server.stores.servers().kill();

    for who in [&owner, &warm, &cold] {
        assert_eq!(forward(who).await, 200);
        who.me().await.assert_status(200);
    }
    owner.rename(Some("Ana")).await.assert_status(200);
    assert_eq!(owner.sessions().await.len(), 4);
    let visitor = server.anonymous();
    visitor.register("new@example.org").await.assert_status(201);
    visitor.login("new@example.org", PASSWORD).await.assert_status(200);
    visitor.get("/me").await.assert_status(200);
    assert_eq!(visitor.get("/health/ready").await.assert_status(200).json()["redis"], "failing");

    for victim in [&warm, &cold] {
        for _ in 0..2 {
            assert_come_back(&owner.end_session(&victim.session_id).await, "unconfirmed");
            assert_eq!(forward(victim).await, 401, "it has ended all the same");
        }
    }
    assert!(server.stores.database.count("pending_invalidations", "1 = 1") >= 2);
    server.stores.servers().restart();
    until_settled(&server).await;
    assert_eq!(owner.end_session(&warm.session_id).await.status, 204, "and again, confirmed");
    assert_eq!((forward(&warm).await, forward(&cold).await, forward(&bystander).await), (401, 401, 200));
    until("Redis is used again", PATIENCE, async || {
        forward(&owner).await == 200 && !server.stores.servers().keys("session:*").is_empty()
    })
    .await;
}

#[tokio::test]
async fn signing_out_without_redis_is_honest_and_clears_the_cookie() {
    let server = start().await;
    let owner = server.signed_in().await;
    let copy = owner.copy_at(&server.url());
    assert_eq!(forward(&owner).await, 200);
    server.stores.servers().kill();
    let answer = owner.sign_out().await;
    answer.assert_problem(503, "unconfirmed");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let cookies = answer.set_cookies();
    assert!(cookies.len() == 1 && cookies[0].starts_with(&format!("{COOKIE}=;")), "{answer}");
    assert!(cookies[0].contains("Max-Age=0"), "the person asked: {answer}");
    assert_eq!(answer.header("clear-site-data"), Some("\"cache\", \"storage\""), "{answer}");
    assert_eq!(forward(&copy).await, 401);
    server.stores.servers().restart();
    until_settled(&server).await;
    assert_eq!(copy.sign_out().await.status, 204, "repeated, confirmed");
}

#[tokio::test]
async fn a_password_change_without_redis_keeps_the_new_token() {
    let server = start().await;
    let owner = server.signed_in().await;
    let other = server.issue(&owner).await;
    let before = owner.copy_at(&server.url());
    assert_eq!((forward(&owner).await, forward(&other).await), (200, 200));
    server.stores.servers().kill();
    let answer = owner.change_password(PASSWORD, "another four plain words").await;
    answer.assert_problem(503, "unconfirmed");
    let cookies = answer.set_cookies();
    let tokens = cookies.iter().filter(|cookie| cookie.starts_with(COOKIE)).count();
    assert_eq!(tokens, 1, "without the new token the user would be out: {answer}");
    assert_eq!((forward(&owner).await, forward(&before).await, forward(&other).await), (200, 401, 401));
    server.stores.servers().restart();
    until_settled(&server).await;
    assert_eq!((forward(&owner).await, forward(&before).await, forward(&other).await), (200, 401, 401));
}

#[tokio::test]
async fn a_redis_that_does_not_answer_is_not_waited_for() {
    let server = start().await;
    let owner = server.signed_in().await;
    assert_eq!(forward(&owner).await, 200);
    server.stores.servers().pause();
    for attempt in 0..6 {
        let watch = stopwatch();
        assert_eq!(forward(&owner).await, 200, "attempt {attempt}");
        assert!(watch() < Duration::from_millis(2_500), "attempt {attempt}: {:?}", watch());
    }
    server.stores.servers().resume();
    until("Redis is used again", PATIENCE, async || {
        let mut monitor = server.stores.servers().monitor();
        assert_eq!(forward(&owner).await, 200);
        monitor.commands().iter().any(|command| command.starts_with("\"GETEX\" \"session:"))
    })
    .await;
}

#[tokio::test]
async fn without_postgresql_it_is_503_and_the_cookie_stays() {
    let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
    let (settings, proxy) = stores.through_proxy();
    let server = TestServer::on(stores, settings).await;
    let owner = server.signed_in().await;
    let (warm, cold) = (server.issue(&owner).await, server.issue(&owner).await);
    for _ in 0..4 {
        assert_eq!(forward(&warm.copy_at(&server.url())).await, 200);
    }
    proxy.refuse();
    proxy.cut();

    assert_eq!(forward(&warm).await, 200, "one Redis without replicas is still trusted");
    for path in ["/auth/forward", "/me", "/sessions"] {
        assert_come_back(&cold.get(path).await, "unavailable");
    }
    assert_come_back(&warm.me().await, "unavailable");
    assert_come_back(&owner.end_session(&warm.session_id).await, "unavailable");
    // Nothing is recorded: without its cookie the session could not be ended any more.
    for _ in 0..2 {
        let refused = owner.sign_out().await;
        assert_come_back(&refused, "unavailable");
        assert_eq!(refused.header("clear-site-data"), None, "{refused}");
    }
    let visitor = server.anonymous();
    assert_come_back(&visitor.login(&owner.email, PASSWORD).await, "unavailable");
    assert_come_back(
        &visitor.post_json("/login", &json!({ "email": "nobody@example.org", "password": PASSWORD })).await,
        "unavailable",
    );
    assert_come_back(&visitor.register("new@example.org").await, "unavailable");
    visitor.get("/me").await.assert_problem(401, "unauthenticated");
    assert_eq!(visitor.get("/health/ready").await.json()["ledger"], "failing");
    visitor.get("/health/live").await.assert_status(200);

    proxy.pass();
    until("PostgreSQL is back", PATIENCE, async || cold.me().await.status == 200).await;
    assert!(owner.is_signed_in().await && warm.is_signed_in().await, "nobody was signed out");
    owner.end_session(&warm.session_id).await.assert_status(204);
    assert_eq!(forward(&warm).await, 401);
    let copy = owner.copy_at(&server.url());
    owner.sign_out().await.assert_status(204);
    assert_eq!(forward(&copy).await, 401, "repeated, it ends the session");
}

/// As by a PgBouncer that is restarted: all connections are gone at once, and new ones can be had.
#[tokio::test]
async fn a_cut_of_all_connections_to_postgresql_costs_one_request_at_most() {
    let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
    let (settings, proxy) = stores.through_proxy();
    let server = TestServer::on(stores, settings).await;
    let owner = server.signed_in().await;
    let others = [server.issue(&owner).await, server.issue(&owner).await, server.issue(&owner).await];
    for round in 0..5 {
        // Several connections of each kind, which have answered just now.
        futures_util::future::join_all((0..12).map(|_| owner.me())).await;
        futures_util::future::join_all(others.iter().map(|who| who.rename(Some("Ana")))).await;
        proxy.cut();
        let mut refused = 0;
        for _ in 0..6 {
            for answer in [owner.me().await, owner.rename(Some("Bea")).await] {
                match answer.status {
                    503 => refused += 1,
                    _ => _ = answer.assert_status(200),
                }
            }
        }
        assert!(refused <= 1, "round {round}: {refused} of 12 were refused after the connections were cut");
    }
}

#[tokio::test]
async fn flushall_signs_nobody_out_and_nobody_in() {
    let server = start().await;
    let owner = server.signed_in().await;
    let sessions = [server.issue(&owner).await, server.issue(&owner).await, server.issue(&owner).await];
    let ended = server.issue(&owner).await;
    for who in sessions.iter().chain([&ended, &owner]) {
        assert_eq!(forward(who).await, 200);
    }
    owner.end_session(&ended.session_id).await.assert_status(204);
    for round in 0..3 {
        server.stores.servers().everywhere(&["FLUSHALL"]);
        for who in sessions.iter().chain([&owner]) {
            assert_eq!(forward(who).await, 200, "round {round}");
        }
        assert_eq!(forward(&ended).await, 401, "round {round}");
    }
}

#[tokio::test]
async fn whatever_stands_in_a_records_place_the_ledger_answers() {
    let server = start().await;
    let redis = server.stores.servers();
    let owner = server.signed_in().await;
    assert_eq!(forward(&owner).await, 200);
    let key = redis.keys("session:*").pop().expect("a record");
    let good: String = redis.of(&key).cli(&["GET", &key]);
    let longer = format!("{good} more");
    let foreign = good.replacen(good.split(' ').nth(1).expect("a stamp"), "AQIDBAUGBwg", 1);
    let next = good.replacen("1 ", "2 ", 1);
    let huge = "x".repeat(1_000_000);
    let texts = [
        "",
        " ",
        "nonsense",
        "{\"user\":\"admin\"}",
        "lease",
        "lease x",
        &longer,
        &foreign,
        &next,
        good.get(..40).expect("ASCII"),
        &huge,
        "\u{0}\u{1}",
    ];
    for text in texts {
        redis.of(&key).cli::<()>(&["SET", &key, text, "PX", "60000"]);
        let answer = owner.get("/auth/forward").await;
        assert_eq!(answer.header("x-session-user"), Some(owner.user_id.as_str()), "{text:.60}: {answer}");
        let healed: String = redis.of(&key).cli(&["GET", &key]);
        assert!(healed == text || healed == good, "{text:.60} became {healed:.100}");
    }
    for command in [&["LPUSH", &key, "x"], &["SADD", &key, "x"], &["PFADD", &key, "x"]] {
        let _gone: i64 = redis.of(&key).cli(&["DEL", &key]);
        let _added: i64 = redis.of(&key).cli(command);
        for _ in 0..2 {
            assert_eq!(forward(&owner).await, 200, "{command:?}");
        }
        owner.me().await.assert_status(200);
    }
    // Such a thing is no way round a revocation either.
    let _gone: i64 = redis.of(&key).cli(&["DEL", &key]);
    let _added: i64 = redis.of(&key).cli(&["LPUSH", &key, "x"]);
    let copy = owner.copy_at(&server.url());
    owner.sign_out().await.assert_status(204);
    assert_eq!(forward(&copy).await, 401);
}

#[tokio::test]
async fn a_full_redis_takes_no_records_and_hinders_nobody() {
    let server = start().await;
    let redis = server.stores.servers();
    let owner = server.signed_in().await;
    let warm = server.issue(&owner).await;
    assert_eq!(forward(&warm).await, 200);
    redis.everywhere(&["CONFIG", "SET", "maxmemory", "1"]);
    let cold = server.issue(&owner).await;
    for who in [&owner, &warm, &cold] {
        assert_eq!(forward(who).await, 200);
    }
    server.anonymous().login(&owner.email, PASSWORD).await.assert_status(200);
    let answer = owner.end_session(&warm.session_id).await;
    assert!([204, 503].contains(&answer.status), "{answer}");
    assert_eq!(forward(&warm).await, 401);
    redis.everywhere(&["CONFIG", "SET", "maxmemory", "0"]);
    until_settled(&server).await;
    assert_eq!((forward(&owner).await, forward(&warm).await), (200, 401));
}

/// A probe must not take out a node that still answers: all of them share what fails.
#[tokio::test]
async fn readiness_means_send_me_requests() {
    let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
    let (settings, proxy) = stores.through_proxy();
    let server = TestServer::on(stores, settings).await;
    let owner = server.signed_in().await;
    assert_eq!(forward(&owner).await, 200);
    let probe = server.anonymous();
    let told = async || {
        let answer = probe.get("/health/ready").await;
        let conditions = ["ready", "ledger", "redis"].map(|part| answer.json()[part].to_string().replace('"', ""));
        (answer.status, conditions.join(" "), answer.header("retry-after").is_some())
    };
    let becomes = async |status: u16, conditions: &str, checks: u16| {
        println!("to become: {status} {conditions}");
        until(conditions, PATIENCE, async || {
            told().await == (status, conditions.to_owned(), status == 503) && forward(&owner).await == checks
        })
        .await;
    };
    becomes(200, "true ok ok", 200).await;
    server.stores.redis().kill();
    becomes(200, "true ok failing", 200).await;
    server.stores.redis().restart();
    becomes(200, "true ok ok", 200).await;
    // What answers then is the record: SQL may have answered until now, while Redis was on its way back.
    until("Redis is used again", PATIENCE, async || {
        forward(&owner).await == 200 && !server.stores.redis().keys("session:*").is_empty()
    })
    .await;
    proxy.refuse();
    proxy.cut();
    becomes(200, "true failing ok", 200).await;
    server.stores.redis().kill();
    becomes(503, "false failing failing", 503).await;
    // One that answers, and may not be trusted: nobody can say that it is the one.
    server.stores.redis().restart();
    for _ in 0..3 {
        assert_eq!((told().await.0, forward(&owner).await), (503, 503));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy.pass();
    becomes(200, "true ok ok", 200).await;
}

/// Beside a replica, which may have taken its place by now.
#[tokio::test]
async fn a_redis_that_answers_and_may_not_be_trusted_makes_nobody_ready() {
    let redis = replicating(&[]);
    let replica = replicating(&["--replicaof", "127.0.0.1", &redis.address().port().to_string()]);
    await_link(&replica);
    let stores = Stores::of(Database::postgres_with_tables(), Some(redis));
    let Database::Postgres(database) = &stores.database else { panic!("it is PostgreSQL") };
    let proxy = Proxy::start(database.address());
    // One worker: without SQL, one that has no connection to a Redis which is not trusted makes none.
    let settings = stores.settings().with("SESSIOND_WORKERS", "1");
    let settings = settings.with("DATABASE_URL", &proxy.in_url(&stores.database.url()));
    let server = TestServer::on(stores, settings).await;
    let owner = server.signed_in().await;
    assert_eq!(forward(&owner).await, 200);
    proxy.refuse();
    proxy.cut();
    until("the lease is over", PATIENCE, async || forward(&owner).await == 503).await;
    let answer = server.anonymous().get("/health/ready").await;
    let told = answer.assert_status(503).json();
    assert_eq!(
        (told["ready"].as_bool(), told["ledger"].as_str(), told["redis"].as_str()),
        (Some(false), Some("failing"), Some("ok"))
    );
}
