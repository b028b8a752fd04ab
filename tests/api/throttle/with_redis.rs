//! What becomes of the counts when Redis or a node forgets.

use super::right_passwords::{SPAN, begin_span};
use super::{Duration, FREE, Requests, Response, TestServer, burn, guess, login_from, new_email, stopwatch, throttled};
use crate::support::client::{Anonymous, PASSWORD};
use crate::support::server::Backend;

async fn server() -> TestServer {
    let proxy = [("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"), ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For")];
    TestServer::with(Backend::Production, &proxy).await
}

/// What became of so many guesses: how many were hashed.
fn hashed(answers: &[Response]) -> usize {
    for answer in answers {
        assert!([401, 429].contains(&answer.status), "never an error because of throttling: {answer}");
    }
    answers.iter().filter(|answer| answer.status == 401).count()
}

#[tokio::test]
async fn l_25_a_node_that_is_new_knows_what_the_others_counted() {
    let server = server().await;
    let owner = server.signed_in().await;
    burn(&server, "192.0.2.1", &owner.email).await;
    let new = server.another_node().await;
    let answer = login_from(&Anonymous::at(&new.url()), "192.0.2.1", &owner.email, PASSWORD).await;
    throttled(&answer, "account");
    server.clock.advance(Duration::from_secs(32));
    login_from(&Anonymous::at(&new.url()), "192.0.2.1", &owner.email, PASSWORD).await.assert_status(200);
    // A success there holds here.
    for _ in 0..FREE {
        guess(&server, "192.0.2.1", &owner.email).await.assert_problem(401, "wrong-credentials");
    }
}

#[tokio::test]
async fn l_25_flushall_in_the_middle_of_an_attack_gives_no_more_than_a_node_allows() {
    let server = server().await;
    let email = new_email();
    let mut answers = Vec::new();
    for _ in 0..40 {
        server.stores.servers().everywhere(&["FLUSHALL"]);
        answers.push(guess(&server, "192.0.2.1", &email).await);
    }
    let hashed = hashed(&answers);
    println!("40 guesses, FLUSHALL before each: {hashed} hashed");
    // Fifteen are free; the machine may be slow enough for some waits to be over.
    assert!((15..=20).contains(&hashed), "{hashed}");
}

#[tokio::test]
async fn l_25_without_redis_each_node_is_stricter_and_nothing_fails() {
    let server = server().await;
    let (owner, seen) = (server.signed_in().await, new_email());
    for _ in 0..4 {
        guess(&server, "192.0.2.9", &seen).await.assert_problem(401, "wrong-credentials");
    }
    server.stores.servers().kill();
    // What this node let through before counts.
    throttled(&guess(&server, "192.0.2.9", &seen).await, "account");
    let email = new_email();
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(guess(&server, "192.0.2.1", &email).await);
    }
    let for_one = hashed(&answers);
    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(guess(&server, "192.0.2.2", &new_email()).await);
    }
    let from_one = hashed(&answers);
    println!("without Redis: {for_one} of 20 guesses at one account hashed, {from_one} of 40 from one address");
    assert!((2..=7).contains(&for_one), "{for_one}");
    assert_eq!(from_one, 25, "a quarter of the limit");
    login_from(&server.anonymous(), "192.0.2.3", &owner.email, PASSWORD).await.assert_status(200);
    server.stores.servers().restart();
}

#[tokio::test]
async fn l_25_a_redis_that_hangs_delays_a_sign_in_a_little_and_fails_none() {
    crate::support::hash_cost::full();
    let server = server().await;
    let owner = server.signed_in().await;
    server.stores.servers().pause();
    let watch = stopwatch();
    login_from(&server.anonymous(), "192.0.2.3", &owner.email, PASSWORD).await.assert_status(200);
    guess(&server, "192.0.2.1", &owner.email).await.assert_problem(401, "wrong-credentials");
    println!("two sign-ins while Redis hangs: {:?}", watch());
    server.stores.servers().resume();
    assert!(watch() < Duration::from_secs(20), "{:?}", watch());
}

/// Each counter has an end, names nobody, and is gone after a success.
#[tokio::test]
async fn counters_in_redis_name_nobody_and_end() {
    let server = server().await;
    let owner = server.signed_in().await;
    guess(&server, "192.0.2.1", &owner.email).await.assert_problem(401, "wrong-credentials");
    let redis = server.stores.servers();
    let keys = redis.keys("attempts:*");
    // Of the guess its account and its address; of the owner's address wrong and right passwords, registrations and chosen
    // passwords; and the right ones of the account, in ten minutes and in a day.
    assert_eq!(keys.len(), 8, "{keys:?}");
    for key in &keys {
        let ttl: i64 = redis.of(key).cli(&["PTTL", key]);
        assert!(ttl > 0 && ttl <= 24 * 3_600_000, "{key}: {ttl}");
    }
    let everything = redis.dump_text();
    assert!(!everything.contains(&owner.email) && !everything.contains("192.0.2.1\""), "{everything}");
    login_from(&server.anonymous(), "192.0.2.1", &owner.email, PASSWORD).await.assert_status(200);
    // The account's wrong ones are forgotten; the right one counts for another address, too.
    let types = redis.keys("attempts:*").into_iter().map(|key| redis.of(&key).cli::<String>(&["TYPE", &key]));
    assert_eq!(types.collect::<Vec<_>>(), ["string"; 8]);
    server.anonymous().get("/health/ready").await.assert_status(200);
}

/// Puts the count of right passwords of a day to its end: a thousand sign-ins would take half a minute.
fn use_up_the_day(server: &TestServer) {
    const RIGHT_IN_A_DAY: u64 = 1_000;
    let redis = server.stores.servers();
    let mut found = 0;
    for key in redis.keys("attempts:*") {
        let at = redis.of(&key);
        if at.cli::<String>(&["TYPE", &key]) == "string" && at.cli::<i64>(&["PTTL", &key]) > 600_000 {
            at.cli::<()>(&["SET", &key, &RIGHT_IN_A_DAY.to_string(), "KEEPTTL"]);
            found += 1;
        }
    }
    assert_eq!(found, 1, "one account has a count of the day");
}

#[tokio::test]
async fn right_passwords_of_one_account_are_limited_for_a_day_as_well() {
    let server = server().await;
    begin_span(&server);
    let owner = server.signed_in().await;
    use_up_the_day(&server);
    server.clock.advance(SPAN);
    let told =
        throttled(&login_from(&Anonymous::at(&server.url()), "192.0.2.1", &owner.email, PASSWORD).await, "account");
    assert!(told > 0 && told <= 86_400, "{told}");
}
