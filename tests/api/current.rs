//! `/session`: who is signed in, for pages that are for everybody. Nobody is an answer; "it cannot be told" is none.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::tools::browser_with;
use crate::support::client::COOKIE;
use crate::support::requests::{Requests, Response};
use crate::support::server::on_each_backend;

fn assert_nobody(answer: &Response) {
    assert_eq!(answer.assert_status(200).json(), Value::Null);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.set_cookies().is_empty(), "a cookie that is just being renewed is left alone: {answer}");
}

on_each_backend! {
    async fn who_is_signed_in_is_told_as_by_me(server: TestServer) {
        let owner = server.signed_in().await;
        let (current, me) = (owner.get("/session").await, owner.me().await);
        let [(told, csrf_token), (known, _)] = [&current, &me].map(|answer| {
            let mut answer = answer.assert_status(200).json();
            // It is masked anew in each answer.
            let csrf_token = answer["csrf_token"].take();
            (answer, csrf_token.as_str().expect("a token").to_owned())
        });
        assert_eq!(told, known);
        let rename = owner.change(Method::PATCH, "/me").header("X-CSRF-Token", &csrf_token);
        rename.json(&json!({ "name": "Ana" })).send().await.assert_status(200);
        assert_eq!(current.header("cache-control"), Some("no-store"));
        let head = owner.call(Method::HEAD, "/session").send().await;
        assert!(head.assert_status(200).body.is_empty());
        owner.call(Method::POST, "/session").send().await.assert_status(405);
    }

    async fn nobody_is_an_answer_whatever_the_cookie_is(server: TestServer) {
        assert_nobody(&server.anonymous().get("/session").await);
        for cookie in ["", "garbage", "00000000-0000-4000-8000-000000000000"] {
            assert_nobody(&browser_with(&server, cookie).get("/session").await);
        }
        let owner = server.signed_in().await;
        let other = owner.sign_in_again().await;
        owner.end_session(&other.session_id).await.assert_status(204);
        assert_nobody(&other.get("/session").await);
        // Two cookies: which one is meant cannot be told.
        let two = format!("{COOKIE}={}; {COOKIE}={}", owner.cookie(), owner.cookie());
        assert_nobody(&server.anonymous().call(Method::GET, "/session").header("Cookie", &two).send().await);
        // It is a use of the session, unless the page says that nobody is at it.
        server.clock.advance(Duration::from_secs(29 * 60));
        assert_ne!(owner.get("/session").await.assert_status(200).json(), Value::Null);
        server.clock.advance(Duration::from_secs(29 * 60));
        let background = owner.call(Method::GET, "/session").header("X-No-Touch", "1").send().await;
        assert_ne!(background.assert_status(200).json(), Value::Null);
        server.clock.advance(Duration::from_secs(2 * 60));
        assert_nobody(&owner.get("/session").await);
    }
}
