//! Binding: a session that is shown by another browser or system, and the three answers that an operator can choose.
//!
//! Owns the proof that only that is a change (no version, no address, no header that is missing), and that it is told once.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::api::embedding::Application;
use crate::support::client::{PASSWORD, SignedIn, new_email};
use crate::support::requests::{Requests, Response};
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::until;

const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const CHROME_NEXT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36";
const CHROME_ON_WINDOWS: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const CURL: &str = "curl/8.5.0";
const SOON: Duration = Duration::from_secs(5);

/// Somebody who has signed in with Chrome on Linux.
async fn with_chrome(server: &TestServer) -> SignedIn {
    let (visitor, email) = (server.anonymous(), new_email());
    visitor.register(&email).await.assert_status(201);
    let body = json!({ "email": email, "password": PASSWORD });
    let call = visitor.call(Method::POST, "/login").header("User-Agent", CHROME).json(&body);
    let answer = call.send().await;
    answer.assert_status(200);
    visitor.into_signed_in(&email, PASSWORD, &answer)
}

async fn ask(who: &SignedIn, path: &str, user_agent: &str) -> Response {
    who.call(Method::GET, path).header("User-Agent", user_agent).send().await
}

async fn change(who: &SignedIn, method: Method, path: &str, user_agent: &str) -> Response {
    let call = who.change(method.clone(), path).header("User-Agent", user_agent);
    if method == Method::PATCH { call.json(&json!({ "name": "Eve" })).send().await } else { call.send().await }
}

/// What the audit log says of the devices of a session.
fn lines(server: &TestServer, who: &SignedIn) -> Vec<String> {
    let sql = format!(
        "SELECT detail AS value FROM audit WHERE event = 'session_device_changed' AND session_id = '{}' ORDER BY id",
        who.session_id
    );
    server.stores.database.values(&sql).into_iter().flatten().collect()
}

/// When a gateway is told that the user last proved who they are.
async fn told(who: &SignedIn, user_agent: &str) -> i64 {
    let answer = ask(who, "/auth/forward", user_agent).await;
    answer.assert_status(200).header("x-session-authenticated-at").expect("a time").parse().expect("seconds")
}

on_each_backend! {
    async fn another_device_is_one_line_for_each_and_nothing_else(server: TestServer) {
        let (owner, node) = (with_chrome(&server).await, server.another_node().await);
        let elsewhere = owner.copy_at(&node.url());
        for user_agent in [CHROME, CHROME_NEXT, "", "<nothing known>"] {
            for path in ["/auth/forward", "/me"] {
                ask(&owner, path, user_agent).await.assert_status(200);
            }
        }
        owner.me().await.assert_status(200);
        assert_eq!(lines(&server, &owner), Vec::<String>::new(), "a new version, or no word, is no other device");
        for _ in 0..5 {
            for who in [&owner, &elsewhere] {
                assert!(told(who, FIREFOX).await > 0);
                ask(who, "/me", FIREFOX).await.assert_status(200);
                ask(who, "/me", CHROME).await.assert_status(200);
            }
        }
        let firefox = "Chrome on Linux -> Firefox on Linux";
        until("the line", SOON, async || !lines(&server, &owner).is_empty()).await;
        for user_agent in [CURL, CHROME_ON_WINDOWS, CURL] {
            ask(&elsewhere, "/auth/forward", user_agent).await.assert_status(200);
        }
        until("two more", SOON, async || lines(&server, &owner).len() >= 3).await;
        change(&owner, Method::PATCH, "/me", FIREFOX).await.assert_status(200);
        let mut said = lines(&server, &owner);
        said.sort();
        let (curl, windows) = ("Chrome on Linux -> curl on unknown", "Chrome on Linux -> Chrome on Windows");
        assert_eq!(said, [windows, firefox, curl]);
        assert!(owner.is_signed_in().await);
    }

    async fn where_the_operator_wants_it_another_device_changes_nothing_before_a_proof(server: TestServer)
    with { "SESSIOND_ON_DEVICE_CHANGE": "step_up" } {
        let (owner, node) = (with_chrome(&server).await, server.another_node().await);
        let (thief, other) = (owner.copy_at(&node.url()), server.issue(&owner).await);
        assert!(told(&owner, CHROME).await > 0 && told(&thief, CHROME).await > 0);
        // Reads go on; what an application is told is that no proof counts.
        assert_eq!(told(&thief, FIREFOX).await, 0);
        ask(&thief, "/me", FIREFOX).await.assert_status(200);
        assert_eq!(lines(&server, &owner), ["Chrome on Linux -> Firefox on Linux"]);
        for (who, user_agent) in [(&thief, FIREFOX), (&owner, CHROME), (&thief, CHROME)] {
            assert_eq!(told(who, user_agent).await, 0);
            change(who, Method::PATCH, "/me", user_agent).await.assert_problem(403, "step-up-required");
            let path = format!("/sessions/{}", other.session_id);
            change(who, Method::DELETE, &path, user_agent).await.assert_problem(403, "step-up-required");
        }
        // The owner can prove who they are, and whoever has the old cookie is out.
        owner.reauthenticate("not the password").await.assert_problem(403, "wrong-password");
        let body = json!({ "password": PASSWORD });
        let call = owner.change(Method::POST, "/reauthenticate").header("User-Agent", CHROME).json(&body);
        call.send().await.assert_status(200);
        assert!(told(&owner, CHROME).await > 0 && !thief.is_signed_in().await);
        change(&owner, Method::PATCH, "/me", CHROME).await.assert_status(200);
        assert!(other.is_signed_in().await);
        // A new proof, and all begins anew; on the device that it was given on.
        assert_eq!(told(&owner, FIREFOX).await, 0);
        let call = owner.change(Method::POST, "/reauthenticate").header("User-Agent", FIREFOX).json(&body);
        assert_eq!(call.send().await.assert_status(200).json()["session"]["device"]["browser"], "Firefox");
        assert!(told(&owner, FIREFOX).await > 0);
        change(&owner, Method::PATCH, "/me", CHROME).await.assert_problem(403, "step-up-required");
        assert_eq!(told(&owner, FIREFOX).await, 0);
        // Signing out never needs a proof.
        change(&owner, Method::POST, "/logout", CHROME).await.assert_status(204);
    }

    async fn where_the_operator_wants_it_another_device_ends_the_session(server: TestServer)
    with { "SESSIOND_ON_DEVICE_CHANGE": "revoke" } {
        for path in ["/auth/forward", "/me"] {
            let (owner, node) = (with_chrome(&server).await, server.another_node().await);
            let elsewhere = owner.copy_at(&node.url());
            ask(&owner, path, CHROME_NEXT).await.assert_status(200);
            ask(&elsewhere, path, CHROME).await.assert_status(200);
            ask(&elsewhere, path, FIREFOX).await.assert_problem(401, "unauthenticated");
            for who in [&owner, &elsewhere] {
                ask(who, path, CHROME).await.assert_problem(401, "unauthenticated");
            }
            let ended = format!("id = '{}' AND end_reason = 'device_changed'", owner.session_id);
            assert_eq!(server.stores.database.count("sessions", &ended), 1);
            assert_eq!(lines(&server, &owner), ["Chrome on Linux -> Firefox on Linux"]);
        }
    }

    /// An application that mounts the session layer does not let the other device in either.
    async fn another_device_is_nobody_in_an_application_of_its_own(server: TestServer)
    with { "SESSIOND_ON_DEVICE_CHANGE": "revoke" } {
        let (owner, application) = (with_chrome(&server).await, Application::on(&server).await);
        let there = owner.copy_at(&application.url());
        assert_eq!(ask(&there, "/who", CHROME_NEXT).await.text(), owner.user_id);
        assert_eq!(ask(&there, "/who", FIREFOX).await.text(), "nobody");
        assert_eq!(ask(&there, "/who", CHROME).await.text(), "nobody", "it has ended");
    }

    /// I-11, I-12: the address that a session was last used from is kept beside that of the sign-in, and binds nobody.
    async fn i_12_another_address_is_remembered_and_signs_nobody_out(server: TestServer)
    with {
        "SESSIOND_ON_DEVICE_CHANGE": "revoke",
        "SESSIOND_TRUSTED_PROXIES": "127.0.0.1",
        "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For",
    } {
        let owner = with_chrome(&server).await;
        let from = async |address: &str| {
            let call = owner.call(Method::GET, "/auth/forward").header("User-Agent", CHROME);
            call.header("X-Forwarded-For", address).send().await.assert_status(200);
        };
        for address in ["203.0.113.7", "2001:db8::7", "198.51.100.9"] {
            from(address).await;
        }
        let row = format!("id = '{}' AND sign_in_ip = '127.0.0.1' AND last_ip = '198.51.100.9'", owner.session_id);
        until("the ledger knows", SOON, async || server.stores.database.count("sessions", &row) == 1).await;
        assert_eq!(lines(&server, &owner), Vec::<String>::new());
    }
}
