//! The invariants of the design, each by its number. Those about time are in `deadlines`; 9 (durable means durable) is
//! shown on the ledger itself, in `tests/contracts`, and 1 under load in `tests/races`.

use std::time::Duration;

use serde_json::json;
use sessiond::domain::Token;
use sessiond::service::{Activity, DataError, Denied, SessionData};

use crate::api::tools::{browser_with, without_ids};
use crate::support::client::PASSWORD;
use crate::support::hash_cost;
use crate::support::issue::{client, signed};
use crate::support::process::command_line_ok;
use crate::support::requests::Requests;
#[cfg(feature = "postgres")]
use crate::support::server::TestServer;
use crate::support::server::on_each_backend;
use crate::support::wait::stopwatch;

/// How many sign-ins of each kind are compared.
const SAMPLES: usize = 9;

/// The middle one.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Processor time that the threads of this process have spent on passwords.
fn hashing_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("this test needs Linux, which tells what a thread costs");
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let read = |file: &str| std::fs::read_to_string(thread.path().join(file)).ok();
        read("comm")?.starts_with("passwords-").then_some(())?;
        read("schedstat")?.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

on_each_backend! {
    async fn invariant_2_missing_expired_ended_tampered_and_malformed_are_one_answer(server: TestServer) {
        let owner = server.signed_in().await;
        let ended = server.issue(&owner).await;
        assert!(ended.is_signed_in().await);
        owner.end_session(&ended.session_id).await.assert_status(204);
        let never = signed(&server.settings, "5f0c8a4e-3b1d-4c2e-9f6a-7b8c9d0e1f2a");
        let mut tampered = owner.cookie();
        tampered.replace_range(3..4, if tampered.get(3..4) == Some("A") { "B" } else { "A" });
        let other = server.settings.clone().with("SESSIOND_COOKIE_KEY", &"QUFB".repeat(24));
        let mut cookies = vec![
            ("ended", ended.cookie()),
            ("never issued", never),
            ("tampered with", tampered),
            ("malformed", "nonsense".to_owned()),
            ("empty", String::new()),
            ("signed with another key", signed(&other, &owner.token())),
            ("not a token", signed(&server.settings, "nonsense")),
        ];
        // Rested too long and, a moment later, past its absolute end: with a record and without.
        let expired = server.issue(&owner).await;
        assert!(expired.is_signed_in().await);
        cookies.extend([("expired", expired.cookie()), ("expired, never checked", server.issue(&owner).await.cookie())]);
        server.clock.advance(Duration::from_secs(13 * 3_600));

        for path in ["/me", "/sessions", "/auth/forward"] {
            let missing = server.anonymous().get(path).await;
            missing.assert_problem(401, "unauthenticated");
            for (what, cookie) in &cookies {
                let answer = browser_with(&server, cookie).get(path).await;
                assert_eq!(without_ids(&answer), without_ids(&missing), "{what} at {path}");
            }
        }
        let change = server.anonymous().patch_json("/me", &json!({ "name": "Eve" })).await;
        for (what, cookie) in &cookies {
            let answer = browser_with(&server, cookie).patch_json("/me", &json!({ "name": "Eve" })).await;
            assert_eq!(without_ids(&answer), without_ids(&change), "{what}");
        }
    }

    async fn invariant_6_every_change_of_privilege_makes_a_new_token_and_the_old_one_dies(server: TestServer) {
        let owner = server.signed_in().await;
        let mut seen = vec![owner.token()];
        // Signing in again in the same browser.
        let before = owner.copy_at(&server.url());
        owner.post_json("/login", &json!({ "email": owner.email, "password": PASSWORD })).await.assert_status(200);
        assert!(!before.is_signed_in().await && owner.is_signed_in().await);
        seen.push(owner.token());
        // A new password.
        let before = owner.copy_at(&server.url());
        let new = "another four plain words";
        owner.change_password(PASSWORD, new).await.assert_status(200);
        assert!(!before.is_signed_in().await && owner.is_signed_in().await);
        seen.push(owner.token());
        // A role more.
        let before = owner.copy_at(&server.url());
        command_line_ok(&server.settings, &["user", "grant", &owner.email, "admin"], "");
        assert!(!before.is_signed_in().await);
        let again = server.anonymous().sign_in(&owner.email, new).await;
        seen.push(again.token());
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "every token is new");
        // What a browser brings along is never taken as the new token.
        let chosen = "5f0c8a4e-3b1d-4c2e-9f6a-7b8c9d0e1f2a";
        let visitor = browser_with(&server, &signed(&server.settings, chosen));
        let answer = visitor.post_json("/login", &json!({ "email": owner.email, "password": new })).await;
        assert!(!answer.assert_status(200).set_cookies().join("").contains(chosen));
        browser_with(&server, &signed(&server.settings, chosen)).get("/me").await.assert_status(401);
    }

    async fn invariant_7_all_that_ends_sessions_takes_the_same_path(server: TestServer) {
        let admin = server.admin().await;
        let new = "another four plain words";
        for reason in ["password_changed", "password_reset", "disabled", "roles_changed", "signed_out_elsewhere"] {
            let owner = server.signed_in().await;
            let victim = server.issue(&owner).await;
            assert!(victim.is_signed_in().await, "with a record, where there are records");
            match reason {
                "password_changed" => drop(owner.change_password(PASSWORD, new).await.assert_status(200)),
                "password_reset" => {
                    let body = json!({ "token": server.reset_token(&owner.email), "new_password": new });
                    server.anonymous().post_json("/reset", &body).await.assert_status(204);
                }
                "disabled" => drop(admin.disable(&owner.user_id).await.assert_status(204)),
                "roles_changed" => drop(command_line_ok(&server.settings, &["user", "grant", &owner.email, "admin"], "")),
                _ => drop(owner.end_others().await.assert_status(200)),
            }
            assert!(!victim.is_signed_in().await, "{reason}");
            let of_victim = format!("session_id = '{}'", victim.session_id);
            let database = &server.stores.database;
            assert_eq!(database.count("sessions", &format!("id = '{}' AND end_reason = '{reason}'", victim.session_id)), 1, "{reason}");
            assert_eq!(database.count("audit", &format!("event = 'session_revoked' AND detail = '{reason}' AND {of_victim}")), 1, "{reason}");
            assert_eq!(database.count("pending_invalidations", &of_victim), 0, "{reason}: confirmed when it is answered");
        }
    }

    async fn invariant_7_a_dead_token_renews_nothing(server: TestServer) {
        let owner = server.signed_in().await;
        let stale = owner.copy_at(&server.url());
        let new = "another four plain words";
        owner.change_password(PASSWORD, new).await.assert_status(200);
        // Compare-and-set: the token that was shown is no longer the session's.
        stale.change_password(new, "set by whoever kept the old cookie").await.assert_problem(401, "unauthenticated");
        let ended = server.issue(&owner).await;
        owner.end_session(&ended.session_id).await.assert_status(204);
        ended.change_password(new, "set by whoever kept the old cookie").await.assert_problem(401, "unauthenticated");
        server.anonymous().login(&owner.email, new).await.assert_status(200);
        assert!(owner.is_signed_in().await);
    }

    /// What was checked a moment ago may have changed since: by the time of the write, only the row itself counts.
    /// Asked of the service, because over HTTP the check comes right before.
    async fn invariant_7_what_was_checked_before_writes_only_while_its_token_is_the_sessions(server: TestServer) {
        let owner = server.signed_in().await;
        let app = server.node().app();
        let data = SessionData::from([("count".to_owned(), "1".to_owned())]);
        let token = Token::parse(&owner.token()).expect("a token");
        let checked = app.check.authenticate(&token, client().ip, Activity::Active).await.expect("an answer").expect("a live session");
        let renewed = app.sign_in.renew(&checked, &client()).await.expect("the first one renews");
        assert_eq!(app.sign_in.renew(&checked, &client()).await.map(drop), Err(DataError::Denied(Denied::Ended)), "once");
        assert_eq!(app.sign_in.store_data(&checked, &data).await, Err(DataError::Denied(Denied::Ended)), "the old token writes nothing");
        let now = app.check.authenticate(&renewed.token, client().ip, Activity::Active).await.expect("an answer").expect("a live session");
        app.sign_in.store_data(&now, &data).await.expect("the new one does");
        app.sessions.sign_out(&[renewed.token.hash()], &client()).await.expect("confirmed");
        assert_eq!(app.sign_in.renew(&now, &client()).await.map(drop), Err(DataError::Denied(Denied::Ended)), "only of a live row");
        assert_eq!(app.sign_in.store_data(&now, &data).await, Err(DataError::Denied(Denied::Ended)));
        assert!(!owner.is_signed_in().await);
    }

    /// The same words, and the same price: one hash. What a hash costs is the processor time of the threads that
    /// compute them, which no load of the machine changes much; the least of several samples is free of anybody else's.
    async fn invariant_8_unknown_wrong_and_disabled_are_one_answer_at_the_price_of_one_hash(server: TestServer) {
        hash_cost::full();
        let (known, disabled, other) = (server.signed_in().await, server.signed_in().await, server.signed_in().await);
        for user in [&disabled, &other] {
            command_line_ok(&server.settings, &["user", "disable", &user.email], "");
        }
        let attempts = [
            ("wrong", known.email.as_str(), "not this password"),
            ("unknown", "nobody-at-all@example.com", PASSWORD),
            ("disabled", disabled.email.as_str(), PASSWORD),
            ("disabled and wrong", other.email.as_str(), "not this password"),
            ("no address", "nonsense", PASSWORD),
        ];
        let (mut hashed, mut times) = (vec![Vec::new(); attempts.len()], vec![Vec::new(); attempts.len()]);
        let mut answers = Vec::new();
        for _ in 0..SAMPLES {
            // So that the throttle lets every one through.
            server.clock.advance(Duration::from_secs(10));
            for (index, (_, email, password)) in attempts.iter().enumerate() {
                let (before, watch) = (hashing_time(), stopwatch());
                answers.push(server.anonymous().login(email, password).await);
                times[index].push(watch());
                hashed[index].push(hashing_time().saturating_sub(before));
            }
        }
        let first = answers.first().expect("an answer");
        first.assert_problem(401, "wrong-credentials");
        for (index, answer) in answers.iter().enumerate() {
            assert_eq!(without_ids(answer), without_ids(first), "{}", attempts[index % attempts.len()].0);
        }
        assert_eq!(server.stores.database.count("sessions", "ended_at IS NULL"), 1, "none of them signed in");
        let least: Vec<Duration> = hashed.iter().filter_map(|times| times.iter().min().copied()).collect();
        for ((what, ..), (least, times)) in attempts.iter().zip(least.iter().zip(times)) {
            println!("{what}: hashing {least:?} at least; answered after {:?} in the middle", median(times));
        }
        let (cheapest, dearest) = (least.iter().min().expect("one"), least.iter().max().expect("one"));
        assert!(*cheapest > Duration::from_millis(2), "hashed at all: {least:?}");
        assert!(*dearest < *cheapest * 3 / 2, "one of them costs a hash more or less: {least:?}");
    }
}

#[cfg(feature = "postgres")]
mod records {
    //! What is about records in Redis.

    use super::TestServer;
    use crate::support::client::SignedIn;
    use crate::support::record::in_record;
    use crate::support::requests::Requests;
    use crate::support::server::Backend;
    use crate::support::topologies::Servers;
    use crate::support::wait::until;

    const KEYS: &str = "session:*";

    /// A TTL is reckoned before the command that sets it is sent; no command is waited for longer.
    const TRANSIT_MS: i64 = 250;

    /// The key of a session: the one that its first check adds.
    async fn key_of(redis: &Servers, who: &SignedIn) -> String {
        let before = redis.keys(KEYS);
        assert!(who.is_signed_in().await);
        let added: Vec<String> = redis.keys(KEYS).into_iter().filter(|key| !before.contains(key)).collect();
        assert_eq!(added.len(), 1, "one record for each session: {added:?}");
        added.into_iter().next().unwrap_or_default()
    }

    fn remaining_ms(server: &TestServer, who: &SignedIn) -> i64 {
        let sql = format!("SELECT CAST(expires_at AS TEXT) AS value FROM sessions WHERE id = '{}'", who.session_id);
        let expires: i64 = server.stores.database.value(&sql).parse().expect("a time");
        expires - server.node().app().core.clock().now().ms()
    }

    #[tokio::test]
    async fn invariant_1_what_was_read_before_a_revocation_is_not_put_after_it() {
        let server = TestServer::start(Backend::Production).await;
        let redis = server.stores.servers();
        let owner = server.signed_in().await;
        let victim = server.issue(&owner).await;
        let key = key_of(redis, &victim).await;
        let record: String = redis.of(&key).cli(&["GET", &key]);
        owner.end_session(&victim.session_id).await.assert_status(204);
        assert!(!redis.keys(KEYS).contains(&key), "deleted before it was answered");
        // Ten refusals leave nothing that could be trusted.
        for _ in 0..10 {
            assert!(!victim.is_signed_in().await);
            let stands: Option<String> = redis.of(&key).cli(&["GET", &key]);
            assert!(stands.is_none_or(|text| text.starts_with("lease ")), "only a lease may stand there");
        }
        // Nothing is ever put without a lease: a key that a fill does not own is left as it is.
        redis.of(&key).cli::<()>(&["SET", &key, "lease AAAAAAAAAAAAAAAAAAAAAA", "PX", "60000"]);
        assert!(!victim.is_signed_in().await);
        assert_eq!(redis.of(&key).cli::<String>(&["GET", &key]), "lease AAAAAAAAAAAAAAAAAAAAAA");
        assert!(record.starts_with("1 "), "{record}");
    }

    #[tokio::test]
    async fn invariant_3_a_record_under_another_key_is_not_trusted() {
        let server = TestServer::start(Backend::Production).await;
        let redis = server.stores.servers();
        let (ana, eve) = (server.signed_in().await, server.signed_in().await);
        let (anas, eves) = (key_of(redis, &ana).await, key_of(redis, &eve).await);
        let record: String = redis.of(&anas).cli(&["GET", &anas]);
        for check in 0..2 {
            redis.of(&eves).cli::<()>(&["SET", &eves, &record, "PX", "60000"]);
            let answer = eve.get("/auth/forward").await;
            answer.assert_status(200);
            assert_eq!(answer.header("x-session-user"), Some(eve.user_id.as_str()), "check {check}");
            assert_eq!(answer.header("x-session-id"), Some(eve.session_id.as_str()), "check {check}");
        }
        let healed: String = redis.of(&eves).cli(&["GET", &eves]);
        assert!(healed.contains(&in_record(&eve.session_id)), "{healed}");
        // And under the key of a session that has ended: it opens nothing.
        let ended = ana.copy_at(&server.url());
        ana.sign_out().await.assert_status(204);
        redis.of(&anas).cli::<()>(&["SET", &anas, &healed, "PX", "60000"]);
        ended.get("/auth/forward").await.assert_problem(401, "unauthenticated");
        assert!(eve.is_signed_in().await);
    }

    #[tokio::test]
    async fn invariant_4_every_session_key_has_a_ttl_within_the_absolute_lifetime() {
        let variables = [("SESSIOND_IDLE_TIMEOUT", "30m"), ("SESSIOND_ABSOLUTE_TIMEOUT", "40m")];
        let server = TestServer::with(Backend::Production, &variables).await;
        let redis = server.stores.servers();
        let owner = server.signed_in().await;
        let mut sessions = Vec::new();
        for _ in 0..20 {
            let session = server.issue(&owner).await;
            let key = key_of(redis, &session).await;
            sessions.push((session, key));
        }
        let minute = std::time::Duration::from_secs(60);
        let bounded = |session: &SignedIn, key: &String| {
            // Asked in this order: what passes in between can only make the TTL smaller.
            let remaining = remaining_ms(&server, session);
            let ttl: i64 = redis.of(key).cli(&["PTTL", key]);
            assert!(ttl > 0, "an immortal record, or none: {ttl}");
            ttl <= remaining + TRANSIT_MS
        };
        // Fresh, in use, close to the end. Redis has a clock of its own, which does not move with the test's: so a
        // record is bounded when it was written anew, by a touch (off the request's latency) or by a fill.
        for step in [0, 15, 15, 9] {
            server.clock.advance(minute * step);
            for (session, key) in &sessions {
                assert!(session.is_signed_in().await);
                until("the touch is written", std::time::Duration::from_secs(5), async || bounded(session, key)).await;
                redis.of(key).cli::<()>(&["DEL", key]);
                assert!(session.is_signed_in().await);
                assert!(bounded(session, key), "a fill that outlives the session");
            }
            for key in redis.keys("*") {
                let ttl: i64 = redis.of(&key).cli(&["PTTL", &key]);
                assert!(ttl > 0, "{key} has no TTL: {ttl}");
            }
        }
        server.clock.advance(minute);
        for (session, _) in &sessions {
            assert!(!session.is_signed_in().await, "the absolute end");
        }
    }
}
