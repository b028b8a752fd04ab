//! Failures of one address, and of the networks it is in.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sessiond::domain::Timestamp;

use crate::support::requests::Requests;
use crate::support::wait::until;

use super::{PASSWORD, TestServer, device_of, guess, login_from, new_email, on_each_backend, throttled, with_device};

/// Moves the clock to where the next ten minutes begin, so that none end in the middle of a test. Gives that time.
fn begin_a_window(server: &TestServer) -> Timestamp {
    let over = server.node().app().core.clock().now().ms().rem_euclid(600_000);
    server.clock.advance(Duration::from_millis(u64::try_from(600_000 - over).expect("time left")));
    server.node().app().core.clock().now()
}

behind_a_proxy! {
    async fn l_26_a_success_begins_the_account_anew_but_not_the_address(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "12" } {
        begin_a_window(&server);
        let (own, victim) = (server.signed_in().await, server.signed_in().await);
        for round in 0..3 {
            for _ in 0..4 {
                guess(&server, "192.0.2.1", &victim.email).await.assert_problem(401, "wrong-credentials");
            }
            // The victim signs in from elsewhere, without a device that is known.
            login_from(&server.anonymous(), "203.0.113.9", &victim.email, PASSWORD).await.assert_status(200);
            // The attacker signs in with an account of his own in between.
            let answer = login_from(&server.anonymous(), "192.0.2.1", &own.email, PASSWORD).await;
            if round < 2 {
                answer.assert_status(200);
            } else {
                let rest = throttled(&answer, "address");
                assert!(rest <= 600, "{answer}");
                assert_eq!(answer.header("ratelimit-policy"), Some("\"address\";q=12;w=600"));
            }
        }
        // NAT: who is behind that address on a known device comes in, and others when the time is over.
        let known = with_device(&server, &device_of(&own));
        login_from(&known, "192.0.2.1", &own.email, PASSWORD).await.assert_status(200);
        server.clock.advance(Duration::from_secs(600));
        login_from(&server.anonymous(), "192.0.2.1", &own.email, PASSWORD).await.assert_status(200);
    }

    /// I-06, I-07, V-20: all addresses of a /64 and all spellings of one address share a count.
    async fn i_07_a_subscriber_is_one_address_however_it_is_written(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "6" } {
        begin_a_window(&server);
        for (spellings, other) in [
            (["192.0.2.7", "::ffff:192.0.2.7", "::FFFF:c000:0207", "192.0.2.7:4711", "[::ffff:192.0.2.7]:80", "192.0.2.7"], "192.0.2.8"),
            (["2001:db8::1", "2001:DB8:0:0:0:0:0:2", "[2001:db8::3]:443", "2001:db8::4%eth0", "2001:db8:0:0:ffff::", "2001:db8::5"], "2001:db8:0:1::1"),
        ] {
            for spelling in spellings {
                guess(&server, spelling, &new_email()).await.assert_problem(401, "wrong-credentials");
            }
            for spelling in spellings {
                throttled(&guess(&server, spelling, &new_email()).await, "address");
            }
            guess(&server, other, &new_email()).await.assert_problem(401, "wrong-credentials");
        }
        for number in 0..100 {
            throttled(&guess(&server, &format!("2001:db8::{number:x}:1"), &new_email()).await, "address");
        }
    }

    /// I-07: who has more than one /64 does not get as many guesses as there are of them.
    async fn i_07_the_networks_around_a_64_have_limits_too(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "2" } {
        begin_a_window(&server);
        // Four times as many from a /56: two from each of four of its 256.
        for subnet in 0..4 {
            for _ in 0..2 {
                guess(&server, &format!("2001:db8:0:{subnet:x}::1"), &new_email()).await.assert_problem(401, "wrong-credentials");
            }
        }
        for subnet in 4..10 {
            let answer = guess(&server, &format!("2001:db8:0:{subnet:x}::1"), &new_email()).await;
            throttled(&answer, "address");
            assert_eq!(answer.header("ratelimit-policy"), Some("\"address\";q=2;w=600"), "not what the network has");
        }
        // Sixteen times as many from a /48: eight of them are used up.
        for subnet in 0..12 {
            let address = format!("2001:db8:0:{:x}::1", 0x100 * (subnet + 1));
            guess(&server, &address, &new_email()).await.assert_problem(401, "wrong-credentials");
            guess(&server, &address, &new_email()).await.assert_problem(401, "wrong-credentials");
        }
        throttled(&guess(&server, "2001:db8:0:ff00::1", &new_email()).await, "address");
        // What was refused by one network is given back to the others, and a neighbour is not concerned.
        guess(&server, "2001:db8:1::1", &new_email()).await.assert_problem(401, "wrong-credentials");
        server.clock.advance(Duration::from_secs(600));
        guess(&server, "2001:db8:0:ff00::1", &new_email()).await.assert_problem(401, "wrong-credentials");
    }

    /// L-15: the one answer that tells whether somebody has an account cannot be asked for as often as anybody likes.
    async fn l_15_registrations_are_counted_by_address_too(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "3" } {
        begin_a_window(&server);
        let owner = server.signed_in().await;
        let register = async |address: &str, email: &str, password: &str| {
            let body = json!({ "email": email, "password": password });
            server.anonymous().call(Method::POST, "/register").header("X-Forwarded-For", address).json(&body).send().await
        };
        for _ in 0..5 {
            register("192.0.2.1", &new_email(), "short").await.assert_problem(422, "invalid-body");
        }
        register("192.0.2.1", &owner.email, PASSWORD).await.assert_problem(409, "email-taken");
        register("192.0.2.1", &new_email(), PASSWORD).await.assert_status(201);
        register("192.0.2.1", &owner.email, PASSWORD).await.assert_problem(409, "email-taken");
        for email in [owner.email.clone(), new_email()] {
            throttled(&register("192.0.2.1", &email, PASSWORD).await, "address");
        }
        register("192.0.2.2", &owner.email, PASSWORD).await.assert_problem(409, "email-taken");
        // Signing in is counted apart.
        guess(&server, "192.0.2.1", &owner.email).await.assert_problem(401, "wrong-credentials");
        server.clock.advance(Duration::from_secs(600));
        register("192.0.2.1", &new_email(), PASSWORD).await.assert_status(201);
    }

    /// L-27: one guess at each of many accounts, each from another address: no account and no address has had too many.
    async fn l_27_spraying_is_an_event(server: TestServer) with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "5" } {
        let began = begin_a_window(&server);
        for number in 0..100 {
            guess(&server, &format!("198.51.100.{number}"), &new_email()).await.assert_problem(401, "wrong-credentials");
        }
        assert!(server.node().app().core.clock().now().since(began) < Duration::from_secs(60), "the machine is too slow for this test");
        let told = || server.stores.database.count("audit", "event = 'excess_rate_limit_exceeded'");
        until("the alarm is a line", Duration::from_secs(10), async || told() == 1).await;
        guess(&server, "203.0.113.1", &new_email()).await.assert_problem(401, "wrong-credentials");
        assert_eq!(told(), 1, "once");
    }
}
