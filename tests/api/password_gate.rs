//! The password gate over HTTP: what it lets through at once, and what never gets to it.
//!
//! Its order and its bounds are tested beside it, in `src/service/sign_in/hash_pool`; a flood in `tests/promises`; what it makes of stored
//! hashes in `secrets.rs`.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::client::{PASSWORD, new_email};
use crate::support::hash_cost;
use crate::support::requests::Requests;
use crate::support::server::{Backend, TestServer, on_each_backend};
use crate::support::wait::{stopwatch, until};

const NEW: &str = "a wholly different password";

fn computed(server: &TestServer) -> u64 {
    server.node().app().sign_in.hashing().computed
}

/// Sends a sign-in and hangs up 10 ms later, politely or not.
async fn hang_up(address: String, number: usize) {
    let body = json!({ "email": new_email(), "password": "whoever waits for this" }).to_string();
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("the server accepts");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    tokio::time::sleep(Duration::from_millis(10)).await;
    if number.is_multiple_of(2) {
        stream.set_zero_linger().expect("a reset");
    }
}

#[tokio::test]
async fn l_03_l_04_five_hundred_sign_ins_that_hang_up_run_no_more_than_the_gate_and_drain() {
    hash_cost::full();
    // All of them come from one address; what is shown here is what the gate withstands.
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_SIGN_IN_ADDRESS_LIMIT", "1000000")]).await;
    let address = server.node().address().to_string();
    let elapsed = stopwatch();
    // Twenty at a time: all at once, few would get as far as the gate before they are gone.
    for wave in 0..25 {
        let wave = (0..20).map(|number| tokio::spawn(hang_up(address.clone(), wave * 20 + number)));
        for one in wave.collect::<Vec<_>>() {
            one.await.expect("a client");
        }
    }
    until("the queue is empty", Duration::from_secs(10), async || server.node().app().sign_in.hashing().waiting == 0)
        .await;
    let told = server.node().app().sign_in.hashing();
    println!("500 sign-ins aborted after 10 ms: {told:?}, drained after {:?}", elapsed());
    assert!(told.most_at_once <= told.workers, "{told:?}");
    // A hash takes longer than the clients stay: few have begun before their client was gone.
    assert!(told.computed > 0, "some got as far as the gate: {told:?}");
    assert!(told.computed < 250, "abandoned sign-ins are not hashed: {told:?}");
    server.signed_in().await;
}

on_each_backend! {
    async fn l_08_everything_that_hashes_goes_through_the_gate(server: TestServer) {
        hash_cost::full();
        let people = [server.signed_in().await, server.signed_in().await];
        let link = server.reset_token(&people[1].email);
        let visitor = server.anonymous();
        let before = computed(&server);
        let [email, other] = [new_email(), new_email()];
        let reset = json!({ "token": link, "new_password": NEW });
        let (a, b, c, d, e) = tokio::join!(
            visitor.register(&email),
            visitor.register(&other),
            people[0].change_password(PASSWORD, NEW),
            visitor.post_json("/reset", &reset),
            visitor.login("nobody@example.org", PASSWORD),
        );
        let statuses = [a, b, c, d, e].map(|answer| answer.status);
        assert_eq!(statuses, [201, 201, 200, 204, 401]);
        // One each, and two for the change: the old password and the new.
        assert_eq!(computed(&server) - before, 6);
        let told = server.node().app().sign_in.hashing();
        assert!(told.most_at_once <= told.workers, "{told:?}");
    }

    async fn c_26_l_06_what_cannot_be_a_password_is_refused_before_anything_is_hashed(server: TestServer) {
        hash_cost::full();
        let owner = server.signed_in().await;
        let visitor = server.anonymous();
        let before = computed(&server);
        let long = "ab ".repeat(86);
        let said = "A password has at most 256 characters.";
        for (answer, field) in [
            (visitor.login(&owner.email, &long).await, "password"),
            (visitor.register_as(&new_email(), &long).await, "password"),
            (owner.change_password(&long, NEW).await, "current_password"),
            (owner.change_password(PASSWORD, &long).await, "new_password"),
            (visitor.post_json("/reset", &json!({ "token": "x", "new_password": long })).await, "new_password"),
        ] {
            answer.assert_problem(422, "invalid-body");
            assert_eq!(answer.json()["errors"], json!([{ "field": field, "detail": said }]));
        }
        let megabyte = "x".repeat(1_000_000);
        let body = json!({ "email": owner.email, "password": megabyte });
        let request = visitor.change(Method::POST, "/login").json(&body).try_send().await;
        // The server may close before it has read what it does not want.
        assert!(request.is_err() || request.is_ok_and(|answer| answer.status == 413));
        visitor.register_as("short@example.org", "1234567").await.assert_problem(422, "invalid-body");
        assert_eq!(computed(&server), before, "nothing was hashed");
    }

    async fn c_23_a_nul_is_a_character_like_any_other(server: TestServer) {
        hash_cost::full();
        let (email, visitor) = (new_email(), server.anonymous());
        visitor.register_as(&email, "q8zv\0m2kx\0w").await.assert_status(201);
        for other in ["q8zv", "q8zvm2kxw", "q8zv\0m2kx", "q8zv\0m2kx\0"] {
            visitor.login(&email, other).await.assert_problem(401, "wrong-credentials");
        }
        visitor.login(&email, "q8zv\0m2kx\0w").await.assert_status(200);
    }
}
