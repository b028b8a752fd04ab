//! Invariant 5: time is an argument. Sessions end by the server's clock, which these tests move, to the second; and a
//! node whose clock is wrong says that it is not ready.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::Value;

use crate::support::client::SignedIn;
use crate::support::requests::Requests;
use crate::support::server::{Backend, TestServer, on_each_backend};
use crate::support::wait::until;
use crate::tools::{column, set_clock};

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

    async fn invariant_5_the_clock_may_jump_and_says_so(server: TestServer) {
        let owner = server.signed_in().await;
        let probe = server.anonymous();
        for jump in [SECOND, 3 * SECOND, 3_600 * SECOND] {
            for forward in [true, false] {
                let step = |forward: bool| if forward { server.clock.advance(jump) } else { server.clock.rewind(jump) };
                step(forward);
                let answer = probe.get("/health/ready").await;
                let (status, clock) = if jump > SECOND { (503, "failing") } else { (200, "ok") };
                assert_eq!(answer.assert_status(status).json()["clock"], clock, "{jump:?} {forward}");
                assert_eq!(answer.json()["ready"], status == 200);
                assert_eq!(answer.header("retry-after").is_some(), status == 503);
                assert_eq!(probe.get("/health/live").await.status, 200, "alive all the same");
                step(!forward);
            }
        }
        assert_eq!(probe.get("/health/ready").await.status, 200);
        assert!(owner.is_signed_in().await, "nobody is out because the clock was wrong for a moment");
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
