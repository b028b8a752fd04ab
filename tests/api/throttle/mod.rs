//! Throttling of guesses, by the row of the requirement that each test is about: by account, by address, and the device
//! cookie that keeps the owner in.
//!
//! Everybody is behind a trusted proxy here, so that a test can say where a request comes from.

/// Settings under which the tests say where they come from.
macro_rules! behind_a_proxy {
    ($(
        $(#[$attribute:meta])*
        async fn $name:ident($server:ident: TestServer) $(with { $variable:literal : $value:expr })? $body:block
    )+) => {
        on_each_backend! {$(
            $(#[$attribute])*
            async fn $name($server: TestServer) with {
                "SESSIOND_TRUSTED_PROXIES": "127.0.0.1",
                "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For"
                $(, $variable: $value)?
            } $body
        )+}
    };
}

mod addresses;
mod devices;
mod right_passwords;
#[cfg(feature = "postgres")]
mod with_redis;

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::api::tools::{Holder, holder, without_ids};
use crate::support::client::{Anonymous, PASSWORD, SignedIn, new_email};
use crate::support::hash_cost;
use crate::support::process::command_line_ok;
use crate::support::requests::{Browser, Requests, Response};
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::stopwatch;

const WRONG: &str = "wrong, all of it";
const DEVICE: &str = "__Host-device";
const FREE: u64 = 5;

/// Signs in from this address, whatever the answer.
async fn login_from(who: &impl Requests, address: &str, email: &str, password: &str) -> Response {
    let body = json!({ "email": email, "password": password });
    who.call(Method::POST, "/login").header("X-Forwarded-For", address).json(&body).send().await
}

async fn guess(server: &TestServer, address: &str, email: &str) -> Response {
    login_from(&server.anonymous(), address, email, WRONG).await
}

fn number(answer: &Response, header: &str) -> u64 {
    answer
        .header(header)
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no number in {header}: {answer}"))
}

/// A 429 whose headers agree; after how many seconds it says to come back.
#[track_caller]
fn throttled(answer: &Response, quota: &str) -> u64 {
    answer.assert_problem(429, "too-many-attempts");
    let seconds = number(answer, "retry-after");
    assert_eq!(answer.header("ratelimit"), Some(format!("\"{quota}\";r=0;t={seconds}").as_str()), "{answer}");
    let policy = answer.header("ratelimit-policy").unwrap_or_default();
    assert!(policy.starts_with(&format!("\"{quota}\";q=")), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "H-14: {answer}");
    assert!(answer.set_cookies().is_empty(), "{answer}");
    seconds
}

/// Burns an account's free attempts, and so many more that the wait outlasts whatever the machine is busy with.
async fn burn(server: &TestServer, address: &str, email: &str) {
    for _ in 0..FREE {
        guess(server, address, email).await.assert_problem(401, "wrong-credentials");
    }
    go_on(server, address, email).await;
    throttled(&guess(server, address, email).await, "account");
}

/// Five failures more, each after its wait: the next wait is 32 s.
async fn go_on(server: &TestServer, address: &str, email: &str) {
    for doubled in 0..5 {
        server.clock.advance(Duration::from_secs(1 << doubled));
        guess(server, address, email).await.assert_problem(401, "wrong-credentials");
    }
}

/// Where the counters are in Redis: puts the longest one forward. False where they are not.
fn jump_to_99(server: &TestServer) -> bool {
    let Some(redis) = server.stores.servers_if_any() else { return false };
    let now = server.node().app().core.clock().now().ms().to_string();
    for key in redis.keys("attempts:*") {
        let is_account = redis.of(&key).cli::<String>(&["TYPE", &key]) == "hash";
        if is_account {
            redis.of(&key).cli::<()>(&["HSET", &key, "98", &now]);
        }
    }
    server.clock.advance(Duration::from_secs(3_600));
    true
}

/// The same person without what the browser keeps of the sign-in.
fn without_device(owner: &SignedIn, server: &TestServer) -> SignedIn {
    let copy = owner.copy_at(&server.url());
    copy.browser().set_cookie(DEVICE, "");
    copy
}

/// Somebody else's browser, with this device cookie.
fn with_device(server: &TestServer, value: &str) -> Holder {
    let browser = Browser::at(&server.url());
    browser.set_cookie(DEVICE, value);
    holder(browser)
}

fn device_of(owner: &SignedIn) -> String {
    owner.browser().cookie(DEVICE).expect("a device cookie")
}

behind_a_proxy! {
    /// N-19 too: the hundredth is the last, until the password was reset.
    async fn l_21_the_waits_double_and_a_hundred_failures_are_the_end(server: TestServer) {
        let owner = server.signed_in().await;
        let mut passed = 0;
        for failures in 1..=100_u32 {
            // The long way to the end takes half a minute of waits that are all alike: once is enough.
            if (20..99).contains(&failures) && jump_to_99(&server) {
                passed += 3_600;
                continue;
            }
            let address = format!("198.51.100.{failures}");
            guess(&server, &address, &owner.email).await.assert_problem(401, "wrong-credentials");
            let wait = match failures {
                0..5 => 0,
                5..17 => 1 << (failures - 5),
                _ => 3_600_u64,
            };
            // What is shorter may be over before it is asked about.
            if wait >= 16 {
                // Also with the right password, and from anywhere: nothing is hashed.
                let told = throttled(&login_from(&server.anonymous(), "192.0.2.1", &owner.email, PASSWORD).await, "account");
                assert!((wait.saturating_sub(15)..=wait).contains(&told), "after {failures}: {told} of {wait} s");
            }
            server.clock.advance(Duration::from_secs(wait));
            passed += wait;
        }
        server.clock.advance(Duration::from_secs(30 * 86_400));
        let stopped = login_from(&server.anonymous(), "192.0.2.1", &owner.email, PASSWORD).await;
        assert_eq!(throttled(&stopped, "account"), 3_600);
        assert!(stopped.text().contains("or set a new password"), "{stopped}");
        // L-22: the owner's own device still comes in.
        let body = json!({ "email": owner.email, "password": PASSWORD });
        owner.post_json("/login", &body).await.assert_status(200);
        throttled(&login_from(&server.anonymous(), "192.0.2.1", &owner.email, PASSWORD).await, "account");
        // And the operator's link, or the owner's, opens the account for everybody again.
        server.clock.rewind(Duration::from_secs(passed + 30 * 86_400));
        let reset = json!({ "token": server.reset_token(&owner.email), "new_password": "a wholly different password" });
        server.anonymous().post_json("/reset", &reset).await.assert_status(204);
        server.anonymous().login(&owner.email, "a wholly different password").await.assert_status(200);
    }

    async fn l_22_nobody_can_lock_out_the_owner_whose_device_is_known(server: TestServer) {
        let owner = server.signed_in().await;
        let answer = owner.post_json("/login", &json!({ "email": owner.email, "password": PASSWORD })).await;
        let line = answer.set_cookies().into_iter().find(|line| line.starts_with(DEVICE)).expect("a device cookie");
        for attribute in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=34560000"] {
            assert!(line.contains(attribute), "{line}");
        }
        assert!(!line.contains(&owner.email) && !line.contains(&owner.user_id) && !line.contains("Domain"), "{line}");
        owner.sign_out().await.assert_status(204);
        burn(&server, "127.0.0.1", &owner.email).await;
        // The attacker sits behind the same address, and still the owner comes in.
        let sign_in = async |who: &SignedIn| who.post_json("/login", &json!({ "email": owner.email, "password": PASSWORD })).await;
        throttled(&sign_in(&without_device(&owner, &server)).await, "account");
        sign_in(&owner).await.assert_status(200);
        // That does not open the account to the attacker again.
        throttled(&guess(&server, "127.0.0.1", &owner.email).await, "account");

        // Another's, a forged and a doubled cookie are none.
        let stranger = server.signed_in().await;
        let mut forged = device_of(&owner);
        forged.replace_range(40..41, if forged.get(40..41) == Some("A") { "B" } else { "A" });
        let twice = format!("{0}; {DEVICE}={0}", device_of(&owner));
        for (what, value) in [("another's", device_of(&stranger)), ("forged", forged), ("doubled", twice)] {
            let answer = login_from(&with_device(&server, &value), "192.0.2.1", &owner.email, PASSWORD).await;
            assert!(answer.status == 429, "{what}: {answer}");
        }
        // A stolen one is good for no more guesses than an account is, and not for the session.
        let thief = with_device(&server, &device_of(&owner));
        for _ in 0..FREE {
            login_from(&thief, "192.0.2.1", &owner.email, WRONG).await.assert_problem(401, "wrong-credentials");
        }
        for doubled in 0..5 {
            server.clock.advance(Duration::from_secs(1 << doubled));
            login_from(&thief, "192.0.2.1", &owner.email, WRONG).await.assert_problem(401, "wrong-credentials");
        }
        throttled(&login_from(&thief, "192.0.2.1", &owner.email, WRONG).await, "account");
        thief.get("/me").await.assert_problem(401, "unauthenticated");
    }

    /// C-24, H-15, L-12: known, unknown and disabled, with the right password and a wrong one.
    async fn l_23_an_account_that_does_not_exist_is_throttled_like_one_that_does(server: TestServer) {
        let (known, disabled) = (server.signed_in().await, server.signed_in().await);
        command_line_ok(&server.settings, &["user", "disable", &disabled.email], "");
        let unknown = new_email();
        let mut answers = Vec::new();
        for (number, email) in [&known.email, &disabled.email, &unknown, "nonsense"].into_iter().enumerate() {
            let address = format!("192.0.2.{number}");
            for _ in 0..FREE {
                // The right password of a disabled account does not begin its count anew: that would tell.
                let password = if *email == disabled.email { PASSWORD } else { WRONG };
                login_from(&server.anonymous(), &address, email, password).await.assert_problem(401, "wrong-credentials");
            }
            go_on(&server, &address, email).await;
            for password in [WRONG, PASSWORD] {
                answers.push(login_from(&server.anonymous(), &address, email, password).await);
            }
        }
        for answer in &answers {
            // Time goes by between them; nothing else differs.
            let told = |answer: &Response| {
                let seconds = throttled(answer, "account");
                assert!((10..=32).contains(&seconds), "{answer}");
                without_ids(answer).replace(&format!("retry-after: {seconds}"), "").replace(&format!("t={seconds}"), "")
            };
            assert_eq!(told(answer), told(&answers[0]));
        }
    }

    /// C-25, V-14, V-15.
    async fn v_14_all_spellings_of_an_account_share_one_count(server: TestServer) {
        let visitor = server.anonymous();
        visitor.register("josé@example.org").await.assert_status(201);
        for spelling in ["josé@example.org", "JOSÉ@EXAMPLE.ORG", " jose\u{301}@example.org", "Jose\u{301}@Example.Org", "josé@example.ORG "] {
            guess(&server, "192.0.2.1", spelling).await.assert_problem(401, "wrong-credentials");
        }
        go_on(&server, "192.0.2.1", "José@example.org").await;
        for (number, spelling) in ["josé@example.org", "JOSE\u{301}@example.org"].iter().enumerate() {
            throttled(&guess(&server, &format!("192.0.2.{}", 10 + number), spelling).await, "account");
        }
        guess(&server, "192.0.2.1", "jose@example.org").await.assert_problem(401, "wrong-credentials");
    }

    /// In a live session by the session alone: its thief locks the owner out of nothing in another one, whatever else was
    /// stolen with it, and neither do strangers at the sign-in.
    async fn v_04_every_route_that_checks_a_password_is_throttled(server: TestServer) {
        let owner = server.signed_in().await;
        let thief = server.issue(&owner).await;
        let prove = async |who: &SignedIn, password: &str| who.post_json("/reauthenticate", &json!({ "password": password })).await;
        for cookie in ["", &device_of(&owner)] {
            thief.browser().set_cookie(DEVICE, cookie);
            for _ in 0..2 {
                prove(&thief, WRONG).await.assert_problem(403, "wrong-password");
            }
        }
        thief.change_password(WRONG, "a wholly different password").await.assert_problem(403, "wrong-password");
        for doubled in 0..5 {
            server.clock.advance(Duration::from_secs(1 << doubled));
            let answer = if doubled % 2 == 0 { prove(&thief, WRONG).await } else { thief.change_password(WRONG, PASSWORD).await };
            answer.assert_problem(403, "wrong-password");
        }
        throttled(&prove(&thief, PASSWORD).await, "account");
        throttled(&thief.change_password(PASSWORD, "a wholly different password").await, "account");
        assert!(thief.is_signed_in().await, "the session goes on");
        prove(&owner, PASSWORD).await.assert_status(200);
        prove(&without_device(&server.issue(&owner).await, &server), PASSWORD).await.assert_status(200);
        // Neither the account's sign-in nor the owner's device has heard of it.
        login_from(&server.anonymous(), "127.0.0.1", &owner.email, PASSWORD).await.assert_status(200);
        login_from(&with_device(&server, &device_of(&owner)), "127.0.0.1", &owner.email, PASSWORD).await.assert_status(200);
        burn(&server, "127.0.0.1", &owner.email).await;
        prove(&owner, PASSWORD).await.assert_status(200);
        let elsewhere = without_device(&owner, &server);
        prove(&elsewhere, PASSWORD).await.assert_status(200);
        elsewhere.change_password(PASSWORD, "a wholly different password").await.assert_status(200);
        // Then guessing begins anew.
        login_from(&server.anonymous(), "192.0.2.1", &owner.email, "a wholly different password").await.assert_status(200);
    }

    /// L-24, V-08: counted before anything is hashed.
    async fn v_08_two_hundred_wrong_passwords_at_once_are_five_hashes(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "1000" } {
        hash_cost::full();
        let owner = server.signed_in().await;
        let (other, watch) = (server.another_node().await, stopwatch());
        let attempts: Vec<_> = (0..200)
            .map(|number| {
                let url = if number % 2 == 0 { server.url() } else if server.stores.redis_if_any().is_some() { other.url() } else { server.url() };
                let (stranger, email) = (Anonymous::at(&url), owner.email.clone());
                tokio::spawn(async move { login_from(&stranger, "192.0.2.1", &email, WRONG).await })
            })
            .collect();
        let (mut hashed, mut refused) = (0, 0);
        for attempt in attempts {
            let answer = attempt.await.expect("a task");
            match answer.status {
                401 => hashed += 1,
                429 => refused += 1,
                _ => panic!("{answer}"),
            }
        }
        // One more for each wait that was over by then: 1 s, 2 s, 4 s.
        let over = u64::from((watch().as_secs() + 1).ilog2());
        println!("200 at once in {:?}: {hashed} hashed, {refused} refused", watch());
        assert!((FREE..=FREE + over).contains(&hashed), "{hashed} hashed in {:?}", watch());
    }

    async fn what_nobody_could_judge_and_what_was_right_is_not_counted(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "3" } {
        let owner = server.signed_in().await;
        for _ in 0..8 {
            login_from(&server.anonymous(), "192.0.2.1", &owner.email, PASSWORD).await.assert_status(200);
        }
        // Refused before a password is looked at: no attempt.
        for body in [json!({ "email": owner.email }), json!({ "email": owner.email, "password": 7 })] {
            for _ in 0..4 {
                let call = server.anonymous().call(Method::POST, "/login").header("X-Forwarded-For", "192.0.2.1").json(&body).send().await;
                call.assert_status(422);
            }
        }
        for _ in 0..3 {
            guess(&server, "192.0.2.1", &owner.email).await.assert_problem(401, "wrong-credentials");
        }
        throttled(&guess(&server, "192.0.2.1", &owner.email).await, "address");
    }
}
