//! What is limited although nothing is wrong: right passwords, and new ones that are judged.

use super::*;
use crate::api::tools::fingerprint;

pub(super) const SPAN: Duration = Duration::from_secs(600);
/// Right passwords of one account in ten minutes.
const RIGHT: usize = 60;
/// New passwords in one session, or with links of one account, in ten minutes.
const CHOICES: usize = 20;
const WEAK: &str = "P@$$w0rd";

/// To the start of the next ten minutes: a span in the middle of a test would begin a new count.
pub(super) fn begin_span(server: &TestServer) {
    let now = server.node().app().core.clock().now().ms().rem_euclid(600_000);
    server.clock.advance(SPAN - Duration::from_millis(now.try_into().unwrap_or(0)));
}

async fn change(who: &impl Requests, new: &str) -> Response {
    who.put_json("/me/password", &json!({ "current_password": PASSWORD, "new_password": new })).await
}

behind_a_proxy! {
    async fn right_passwords_in_a_loop_come_to_an_end_and_so_do_the_rows(server: TestServer) {
        let visitor = server.anonymous();
        let email = new_email();
        visitor.register(&email).await.assert_status(201);
        begin_span(&server);
        // As a program does that keeps no cookies, from anywhere.
        let mut owner = None;
        for number in 0..RIGHT {
            let from = format!("198.51.100.{number}");
            let browser = server.anonymous();
            let answer = login_from(&browser, &from, &email, PASSWORD).await;
            answer.assert_status(200);
            owner = Some(browser.into_signed_in(&email, PASSWORD, &answer));
        }
        let owner = owner.expect("a session");
        for from in ["198.51.100.1", "203.0.113.7"] {
            let told = throttled(&login_from(&server.anonymous(), from, &email, PASSWORD).await, "account");
            assert!(told <= SPAN.as_secs(), "{told}");
        }
        assert!(owner.is_signed_in().await, "who is signed in stays so");
        assert_eq!(server.stores.database.count("sessions", "1 = 1"), RIGHT);
        assert_eq!(server.stores.database.count("audit", "event = 'authn_login_success'"), RIGHT);
        // Others do not notice.
        server.anonymous().sign_up().await;
        server.clock.advance(SPAN);
        login_from(&server.anonymous(), "203.0.113.7", &email, PASSWORD).await.assert_status(200);
    }

    async fn who_knows_a_password_does_not_keep_its_owner_from_changing_it(server: TestServer) {
        let owner = server.signed_in().await;
        begin_span(&server);
        for number in 0..RIGHT {
            let from = format!("198.51.100.{number}");
            login_from(&server.anonymous(), &from, &owner.email, PASSWORD).await.assert_status(200);
        }
        throttled(&login_from(&server.anonymous(), "203.0.113.7", &owner.email, PASSWORD).await, "account");
        // On a device that is known, and in a live session.
        login_from(&owner, "203.0.113.7", &owner.email, PASSWORD).await.assert_status(200);
        owner.reauthenticate(PASSWORD).await.assert_status(200);
        change(&owner, "a wholly different password").await.assert_status(200);
    }

    async fn right_passwords_in_one_session_come_to_an_end_and_those_in_another_do_not(server: TestServer) {
        let thief = server.signed_in().await;
        begin_span(&server);
        let browser = server.anonymous();
        let answer = login_from(&browser, "198.51.100.1", &thief.email, PASSWORD).await;
        let owner = browser.into_signed_in(&thief.email, PASSWORD, &answer);
        for _ in 0..RIGHT {
            thief.reauthenticate(PASSWORD).await.assert_status(200);
        }
        throttled(&thief.reauthenticate(PASSWORD).await, "account");
        throttled(&change(&thief, "a wholly different password").await, "account");
        change(&owner, "a wholly different password").await.assert_status(200);
    }

    async fn changes_in_a_loop_come_to_an_end_and_the_end_of_sessions_does_not(server: TestServer) {
        let (owner, other) = (server.signed_in().await, server.signed_in().await);
        let elsewhere = server.issue(&owner).await;
        begin_span(&server);
        for number in 0..RIGHT {
            owner.rename(Some(&format!("Name {number}"))).await.assert_status(200);
        }
        let state = || fingerprint(&server.stores.database);
        let before = state();
        throttled(&owner.rename(Some("One more")).await, "account");
        throttled(&elsewhere.rename(None).await, "account");
        assert_eq!(state(), before);
        other.rename(Some("Somebody Else")).await.assert_status(200);
        // What there is to end is ended, however often; where there is nothing, nothing is written.
        for _ in 0..3 {
            let victim = server.issue(&owner).await;
            owner.end_others().await.assert_status(200);
            assert!(!victim.is_signed_in().await);
            let before = state();
            throttled(&owner.end_others().await, "account");
            assert_eq!(state(), before);
        }
        assert!(!elsewhere.is_signed_in().await);
        owner.end_session(&owner.session_id).await.assert_status(204);
        let again = server.issue(&owner).await;
        again.end_all().await.assert_status(200);
        assert!(!again.is_signed_in().await);
        server.clock.advance(SPAN);
        server.issue(&owner).await.rename(Some("One more")).await.assert_status(200);
    }

    async fn the_end_of_no_sessions_is_counted_and_of_some_is_not(server: TestServer) {
        let owner = server.signed_in().await;
        begin_span(&server);
        for _ in 0..5 {
            server.issue(&owner).await;
            assert_eq!(owner.end_others().await.assert_status(200).json(), json!({ "revoked": 1 }));
        }
        for _ in 0..RIGHT {
            assert_eq!(owner.end_others().await.assert_status(200).json(), json!({ "revoked": 0 }));
        }
        throttled(&owner.end_others().await, "account");
        server.signed_in().await.end_others().await.assert_status(200);
    }

    async fn right_passwords_from_one_address_are_limited_generously(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "1" } {
        begin_span(&server);
        let mut emails = Vec::new();
        for number in 0..2 {
            let email = new_email();
            let body = json!({ "email": email, "password": PASSWORD });
            let call = server.anonymous();
            let call = call.call(Method::POST, "/register").header("X-Forwarded-For", &format!("192.0.2.{number}"));
            call.json(&body).send().await.assert_status(201);
            emails.push(email);
        }
        for number in 0..20 {
            login_from(&server.anonymous(), "198.51.100.1", &emails[number % 2], PASSWORD).await.assert_status(200);
        }
        throttled(&login_from(&server.anonymous(), "198.51.100.1", &emails[0], PASSWORD).await, "address");
        login_from(&server.anonymous(), "198.51.100.2", &emails[0], PASSWORD).await.assert_status(200);
    }

    async fn new_passwords_are_judged_so_often_and_no_more(server: TestServer) {
        let owner = server.signed_in().await;
        let token = server.reset_token(&owner.email);
        begin_span(&server);
        let reset = async || {
            server.anonymous().post_json("/reset", &json!({ "token": token, "new_password": WEAK })).await
        };
        for _ in 0..CHOICES {
            change(&owner, WEAK).await.assert_problem(422, "invalid-body");
        }
        throttled(&change(&owner, WEAK).await, "account");
        throttled(&change(&owner, "a wholly different password").await, "account");
        // Nobody uses up from a session what the owner has in another, or with a link.
        for _ in 0..CHOICES {
            reset().await.assert_problem(422, "invalid-body");
        }
        throttled(&reset().await, "account");
        // What is too short is told without a judgement, and others choose as ever.
        change(&owner, "short").await.assert_problem(422, "invalid-body");
        let other = server.signed_in().await;
        change(&other, "a wholly different password").await.assert_status(200);
        server.clock.advance(SPAN);
        change(&owner, "a wholly different password").await.assert_status(200);
    }

    async fn nobody_has_passwords_judged_for_accounts_that_are_never_made(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "2" } {
        begin_span(&server);
        let register = async |from: &str, password: &str| {
            let body = json!({ "email": new_email(), "password": password });
            let anybody = server.anonymous();
            anybody.call(Method::POST, "/register").header("X-Forwarded-For", from).json(&body).send().await
        };
        for _ in 0..6 {
            register("198.51.100.1", WEAK).await.assert_problem(422, "invalid-body");
        }
        throttled(&register("198.51.100.1", WEAK).await, "address");
        throttled(&register("198.51.100.1", PASSWORD).await, "address");
        register("198.51.100.2", PASSWORD).await.assert_status(201);
    }
}
