//! Invariant 5: time is an argument. Sessions end by the server's clock, which these tests move, to the second; and a
//! node whose clock is wrong answers nobody.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::{Value, json};
use sessiond::domain::{Clock as _, UserId};

use crate::api::tools::{column, set_clock};
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::issue::client;
use crate::support::requests::Requests;
use crate::support::server::{Backend, TestServer, on_each_backend};
use crate::support::wait::until;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The last-seen time that the list shows, in milliseconds.
async fn last_seen(who: &SignedIn) -> i64 {
    let me = who.me().await.json();
    let text = me.pointer("/session/last_seen_at").and_then(Value::as_str).expect("a time").to_owned();
    text.parse::<chrono::DateTime<chrono::Utc>>().expect("RFC 3339").timestamp_millis()
}

on_each_backend! {
    async fn invariant_5_the_absolute_deadline_holds_to_the_second(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "30m", "SESSIOND_ABSOLUTE_TIMEOUT": "1h" } {
        let owner = server.signed_in().await;
        let (busy, unchecked) = (server.issue(&owner).await, server.issue(&owner).await);
        let ends = column(&server, "expires_at", &busy);
        assert_eq!(ends - column(&server, "created_at", &busy), 3_600_000);
        for _ in 0..2 {
            server.clock.advance(25 * MINUTE);
            assert!(busy.is_signed_in().await, "in use");
            assert_eq!(owner.get("/auth/forward").await.status, 200);
        }
        set_clock(&server, ends - 1_000);
        assert_eq!(busy.get("/auth/forward").await.status, 200, "a second before");
        set_clock(&server, ends + 1);
        for path in ["/auth/forward", "/me", "/sessions"] {
            assert_eq!(busy.get(path).await.status, 401, "{path}: use does not prolong it");
        }
        assert_eq!(unchecked.get("/auth/forward").await.status, 401);
    }

    async fn invariant_5_the_idle_deadline_holds_to_the_second(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "30m", "SESSIOND_ABSOLUTE_TIMEOUT": "12h" } {
        let owner = server.signed_in().await;
        let below = server.issue(&owner).await;
        for round in 0..3 {
            // Later than the resolution, so that this use is written.
            server.clock.advance(11 * SECOND);
            assert_eq!(below.get("/auth/forward").await.status, 200, "round {round}");
            // Another session each time, because a look is a use.
            let above = server.issue(&owner).await;
            assert_eq!(above.get("/auth/forward").await.status, 200);
            server.clock.advance(30 * MINUTE - SECOND);
            assert_eq!(below.get("/auth/forward").await.status, 200, "round {round}: a second below");
            server.clock.advance(2 * SECOND);
            for path in ["/auth/forward", "/me", "/auth/forward"] {
                assert_eq!(above.get(path).await.status, 401, "round {round}: a second above, {path}");
            }
            assert_eq!(below.get("/auth/forward").await.status, 200, "round {round}: it was used a moment ago");
        }
    }

    async fn invariant_5_a_session_that_rested_too_long_is_over_for_all_who_ask_at_once(server: TestServer) {
        let owner = server.signed_in().await;
        for round in 0..10 {
            let rested = server.issue(&owner).await;
            assert_eq!(rested.get("/auth/forward").await.status, 200);
            server.clock.advance(30 * MINUTE + SECOND);
            // Everything that a page asks for when its computer wakes up, over connections of its own.
            let requests = (0..12).map(|number| {
                let copy = rested.copy_at(&server.url());
                let path = if number % 2 == 0 { "/auth/forward" } else { "/me" };
                tokio::spawn(async move { copy.get(path).await.status })
            });
            for (number, request) in requests.collect::<Vec<_>>().into_iter().enumerate() {
                assert_eq!(request.await.expect("a request"), 401, "round {round}, request {number}");
            }
            assert_eq!(rested.get("/me").await.status, 401, "round {round}: and it stays over");
        }
    }

    async fn invariant_5_a_node_whose_clock_is_wrong_answers_nobody(server: TestServer) {
        let (admin, owner, probe) = (server.admin().await, server.signed_in().await, server.anonymous());
        let user = UserId::parse(&owner.user_id).expect("an id");
        assert!(owner.is_signed_in().await && admin.person().is_signed_in().await);
        for wrong_by in [2_100, -2_100, 45_000, 92 * 86_400_000, -3_600_000, i64::MAX / 2, i64::MIN / 2] {
            server.clock.set_wrong_by(wrong_by);
            let ready = probe.get("/health/ready").await;
            let said = ready.assert_status(503).json();
            let [redis, lease] = ["redis", "lease"].map(|part| said[part].clone());
            let expected = json!({
                "ready": false, "ledger": "ok", "redis": redis, "clock": "failing", "settings": "ok", "lease": lease,
            });
            assert_eq!(said, expected, "{wrong_by}");
            assert_eq!(probe.get("/health/live").await.status, 200, "alive all the same");
            let here = owner.copy_at(&server.url());
            for answer in [
                here.get("/auth/forward").await,
                here.me().await,
                here.get("/sessions").await,
                here.rename(Some("Nobody")).await,
                here.reauthenticate(PASSWORD).await,
                here.end_others().await,
                here.sign_out().await,
                probe.login(&owner.email, PASSWORD).await,
                admin.person().get("/admin/users").await,
                admin.delete(&format!("/admin/users/{}", owner.user_id)).await,
                ready,
            ] {
                assert_eq!(answer.status, 503, "{wrong_by}: {answer}");
                assert!(answer.header("retry-after").is_some(), "{wrong_by}: {answer}");
            }
            let issued = server.node().app().sign_in.issue(user, false, &[], &client()).await;
            assert!(issued.is_err(), "{wrong_by}: an application gets no session either");
            server.clock.set_wrong_by(0);
            assert_eq!(probe.get("/health/ready").await.status, 200, "{wrong_by}: the clock is right");
            assert!(owner.is_signed_in().await, "{wrong_by}: nobody is out because the clock was wrong for a moment");
        }
    }

    async fn invariant_5_a_small_skew_changes_no_deadline(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "30m", "SESSIOND_ABSOLUTE_TIMEOUT": "1h", "SESSIOND_LAST_SEEN_RESOLUTION": "1s" } {
        let owner = server.signed_in().await;
        for wrong_by in [1_900, -1_900] {
            server.clock.set_wrong_by(wrong_by);
            let ready = server.anonymous().get("/health/ready").await;
            assert_eq!(ready.assert_status(200).json()["clock"], "ok", "{wrong_by}");
            let before = server.clock.now().ms() - wrong_by;
            let user = owner.sign_in_again().await;
            let after = server.clock.now().ms() - wrong_by;
            let made = column(&server, "created_at", &user);
            assert!((before - 50..=after + 50).contains(&made), "{wrong_by}: made {} ms after it began", made - before);
            // Both by the wall that is right: a moment before it is over, and just after.
            for (moment, status) in [(made + 1_798_500, 200), (made + 1_801_000, 200), (made + 3_598_500, 200), (made + 3_600_001, 401)] {
                let wall = server.clock.now().ms() - wrong_by;
                server.clock.advance(Duration::from_millis(u64::try_from(moment - wall).expect("later")));
                assert_eq!(user.get("/auth/forward").await.status, status, "{wrong_by}: {} ms", moment - made);
            }
        }
    }

    /// The clock of the machine was wrong, and of its database with it: what was written then is of a time to come.
    async fn invariant_5_no_session_gains_by_a_time_that_is_yet_to_come(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "30m", "SESSIOND_ABSOLUTE_TIMEOUT": "12h", "SESSIOND_STEP_UP_AGE": "15m" } {
        let (early, until_mended) = (server.signed_in().await, server.signed_in().await);
        // Less than what rows of sessions that are over are kept for.
        let ahead = 20 * 24 * 60 * MINUTE;
        server.clock.advance(ahead);
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        assert!(owner.is_signed_in().await && other.is_signed_in().await, "there are records");
        for (column, who) in [("last_seen_at", &early), ("authenticated_at", &until_mended)] {
            let later = format!("{column} = {column} + {}", ahead.as_millis());
            server.stores.database.execute(&format!("UPDATE sessions SET {later} WHERE id = '{}'", who.session_id));
        }
        server.clock.rewind(ahead);
        let now = server.clock.now().ms();
        assert!(last_seen(&owner).await <= server.clock.now().ms(), "shown as used now at the latest");
        until_mended.end_others().await.assert_problem(403, "step-up-required");
        let mended = async || {
            let times = [
                ("last_seen_at", &early),
                ("authenticated_at", &until_mended),
                ("authenticated_at", &owner),
                ("created_at", &owner),
                ("last_seen_at", &other),
            ];
            times.iter().all(|(name, who)| column(&server, name, who) < now + 700_000)
        };
        // When it next looks for what is old enough.
        server.clock.advance(601 * SECOND);
        until("times are mended", 20 * SECOND, mended).await;
        assert!(owner.is_signed_in().await && early.is_signed_in().await, "who is signed in stays so");
        for who in [&owner, &until_mended] {
            who.end_others().await.assert_problem(403, "step-up-required");
        }
        let lasts = column(&server, "expires_at", &owner) - column(&server, "created_at", &owner);
        assert_eq!(lasts, 12 * 3_600_000, "as long as any");
        // Its id stays of a moment that is yet to come, which its record must not tell as that of a proof.
        owner.reauthenticate(PASSWORD).await.assert_status(200);
        let proven = column(&server, "authenticated_at", &owner) / 1_000;
        for _ in 0..3 {
            let told = owner.get("/auth/forward").await;
            let told: i64 = told.header("x-session-authenticated-at").expect("a time").parse().expect("seconds");
            assert!((proven - 1..=proven).contains(&told), "{told} instead of {proven}");
        }
        // Their records have made way for new ones: without one the ledger may be a minute generous.
        server.clock.advance(31 * MINUTE + SECOND);
        for (who, name) in [(&owner, "owner"), (&early, "early"), (&other, "other")] {
            assert_eq!(who.get("/auth/forward").await.status, 401, "{name}: rested for too long");
        }
    }

    /// A link that was made under such a clock is good for an hour of that time, and would last for as long as it was wrong.
    async fn invariant_5_a_link_of_a_time_to_come_is_good_for_nothing(server: TestServer) {
        let owner = server.signed_in().await;
        let (token, later) = (server.reset_token(&owner.email), "+ 86400000");
        let database = &server.stores.database;
        database.execute(&format!("UPDATE password_resets SET created_at = created_at {later}, expires_at = expires_at {later}"));
        let body = json!({ "token": token, "new_password": "another four plain words" });
        server.anonymous().post_json("/reset", &body).await.assert_problem(422, "invalid-body");
        // Nor is it when its time has come.
        server.clock.advance(601 * SECOND);
        until("it is gone", 20 * SECOND, async || database.count("password_resets", "1 = 1") == 0).await;
        owner.reauthenticate(PASSWORD).await.assert_status(200);
    }

    async fn invariant_5_last_seen_moves_in_steps_of_its_resolution(server: TestServer)
    with { "SESSIOND_LAST_SEEN_RESOLUTION": "10s" } {
        let owner = server.signed_in().await;
        let start = last_seen(&owner).await;
        server.clock.advance(5 * SECOND);
        owner.me().await.assert_status(200);
        assert_eq!(last_seen(&owner).await, start, "half of a resolution later it was not written");
        server.clock.advance(6 * SECOND);
        owner.me().await.assert_status(200);
        // Off the request's latency, so a moment later.
        until("last-seen has moved", 5 * SECOND, async || last_seen(&owner).await >= start + 11_000).await;
        let moved = last_seen(&owner).await;
        assert!(moved < start + 16_000, "{} ms", moved - start);
        let list = owner.sessions().await;
        assert_eq!(list.len(), 1);
    }

    async fn invariant_5_a_resolution_never_costs_more_than_a_twentieth_of_the_idle_timeout(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "60s", "SESSIOND_LAST_SEEN_RESOLUTION": "3s" } {
        let owner = server.signed_in().await;
        // Every four seconds for ten minutes: no idle timeout may be missed by a use that was not written.
        for step in 0..150 {
            server.clock.advance(4 * SECOND);
            assert_eq!(owner.get("/auth/forward").await.status, 200, "step {step}");
        }
        server.clock.advance(56 * SECOND);
        assert_eq!(owner.get("/auth/forward").await.status, 200, "not early by more than the resolution");
        server.clock.advance(61 * SECOND);
        assert_eq!(owner.get("/auth/forward").await.status, 401, "not late by more than a second");
    }
}

/// A use is known from the moment that it is answered, also while the ledger takes its time to be told of it. Embedded,
/// because only there (and without Redis) the ledger's last-seen time is the exact one.
#[tokio::test]
async fn invariant_5_a_use_counts_while_it_is_still_being_written() {
    let server = TestServer::start(Backend::Embedded).await;
    let owner = server.signed_in().await;
    assert_eq!(owner.get("/auth/forward").await.status, 200);
    let path = server.stores.database.url().replace("sqlite://", "");
    let mut writer = SqliteConnection::establish(&path).expect("SQLite opens");
    writer.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").expect("the lock of all writers");
    server.clock.advance(29 * MINUTE);
    assert_eq!(owner.get("/auth/forward").await.status, 200, "readers never wait for a writer");
    // Now it is on its way, and waits for the lock.
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.clock.advance(2 * MINUTE);
    assert_eq!(owner.get("/auth/forward").await.status, 200, "it was used two minutes ago");
    writer.batch_execute("ROLLBACK").expect("the lock is given back");
    let written = async || column(&server, "last_seen_at - created_at", &owner) >= 31 * 60_000;
    until("the ledger knows", 5 * SECOND, written).await;
    server.clock.advance(29 * MINUTE);
    assert_eq!(owner.get("/auth/forward").await.status, 200);
}
