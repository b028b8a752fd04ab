//! Impersonation: an administrator acts for a user, says why, and the user sees it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::acting::{agent, shop};
use crate::api::tools::{NOBODY, browser_with, fingerprint, only_cookie};
use crate::support::client::{Admin, COOKIE, PASSWORD};
use crate::support::process::command_line_ok;
use crate::support::requests::{Requests, Response};
use crate::support::server::{TestServer, on_each_backend};
use crate::support::service::IssuedSession;

const MINUTE: Duration = Duration::from_secs(60);
const REASON: &str = "Ticket 4711: the invoice does not open";

async fn act_as(admin: &impl Requests, user: &str) -> Response {
    admin.post_json(&format!("/admin/users/{user}/impersonate"), &json!({ "reason": REASON })).await
}

/// The value of the session cookie that an answer sets.
fn cookie_of(answer: &Response) -> String {
    let line = only_cookie(answer);
    let pair = line.split(';').next().unwrap_or_default();
    pair.strip_prefix(&format!("{COOKIE}=")).unwrap_or_else(|| panic!("{line}")).to_owned()
}

async fn is_alive(server: &TestServer, cookie: &str) -> bool {
    browser_with(server, cookie).get("/auth/forward").await.status == 200
}

on_each_backend! {
    async fn an_administrator_acts_for_a_user_who_sees_it_and_ends_it(server: TestServer) {
        let (admin, owner) = (server.admin().await, server.signed_in().await);
        let before = admin.person().cookie();
        let answer = act_as(&admin, &owner.user_id).await;
        answer.assert_status(200);
        let line = only_cookie(&answer);
        for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
            assert!(line.contains(attribute) && !line.contains("Max-Age"), "{line}");
        }
        // The cookie that it pushes out opens nothing any more: nobody could see and end it.
        assert!(!is_alive(&server, &before).await);
        // The browser is in the user's account, and says so.
        let actor = json!({ "kind": "admin", "id": admin.person().user_id, "reason": REASON });
        let me = admin.get("/me").await.assert_status(200).json();
        assert_eq!((&me["user"]["id"], &me["session"]["actor"]), (&json!(owner.user_id), &actor));
        let forward = admin.get("/auth/forward").await;
        assert_eq!(forward.header("x-session-actor"), Some(format!("admin:{}", admin.person().user_id).as_str()));
        admin.get("/admin/users").await.assert_problem(403, "acting-session");
        admin.get("/sessions").await.assert_problem(403, "acting-session");
        // The user reads who acts, and why.
        let seen: Vec<Value> = owner.sessions().await.into_iter().map(|session| session["actor"].clone()).collect();
        assert!(seen.contains(&actor) && seen.contains(&Value::Null) && seen.len() == 2, "{seen:?}");
        let detail = format!("admin:{} {REASON}", admin.person().user_id);
        let line = format!("event = 'acting_session_issued' AND detail = '{detail}' AND actor = '{}' AND user_id = '{}'",
            admin.person().user_id, owner.user_id);
        assert_eq!(server.stores.database.count("audit", &line), 1);
        let ended = owner.delete("/sessions?actor=admin").await.assert_status(200).json();
        assert_eq!(ended["revoked"], 1);
        admin.get("/me").await.assert_problem(401, "unauthenticated");
        assert!(owner.is_signed_in().await);
    }

    async fn it_is_for_users_alone_and_wants_a_proof_and_a_reason(server: TestServer) {
        let (admin, other, owner) = (server.admin().await, server.admin().await, server.signed_in().await);
        let (gone, disabled) = (server.signed_in().await, server.signed_in().await);
        other.delete(&format!("/admin/users/{}", gone.user_id)).await.assert_status(204);
        other.disable(&disabled.user_id).await.assert_status(204);
        let before = fingerprint(&server.stores.database);
        for person in [&admin, &other] {
            act_as(&admin, &person.person().user_id).await.assert_problem(403, "cannot-impersonate");
        }
        for nobody in [NOBODY, &gone.user_id, &disabled.user_id, "x"] {
            act_as(&admin, nobody).await.assert_problem(404, "not-found");
        }
        act_as(&owner, &owner.user_id).await.assert_problem(403, "forbidden");
        act_as(&server.anonymous(), &owner.user_id).await.assert_problem(401, "unauthenticated");
        let path = format!("/admin/users/{}/impersonate", owner.user_id);
        for reason in [json!(""), json!("  "), json!("a\nb"), json!("x".repeat(501)), json!(7), Value::Null] {
            admin.post_json(&path, &json!({ "reason": reason })).await.assert_problem(422, "invalid-body");
        }
        admin.post_json(&path, &json!({})).await.assert_problem(422, "invalid-body");
        admin.change(Method::POST, &path).header("Origin", "https://evil.example").json(&json!({ "reason": REASON })).send().await
            .assert_problem(403, "forbidden-origin");
        server.clock.advance(16 * MINUTE);
        act_as(&admin, &owner.user_id).await.assert_problem(403, "step-up-required");
        assert_eq!(fingerprint(&server.stores.database), before);
        admin.person().reauthenticate(PASSWORD).await.assert_status(200);
        act_as(&admin, &owner.user_id).await.assert_status(200);
        // Not from there to the next.
        act_as(&admin, &disabled.user_id).await.assert_problem(403, "acting-session");
    }

    async fn it_lasts_an_hour_at_most_whatever_is_set(server: TestServer) with { "SESSIOND_ACTING_TIMEOUT": "4h" } {
        let (admin, owner, shop) = (server.admin().await, server.signed_in().await, shop(&server));
        let agent = IssuedSession::of(&shop.issue(&agent("user-1")).await);
        act_as(&admin, &owner.user_id).await.assert_status(200);
        for _ in 0..3 {
            server.clock.advance(19 * MINUTE);
            admin.get("/me").await.assert_status(200);
            assert_eq!(agent.status(&server.url()).await, 200);
        }
        server.clock.advance(4 * MINUTE);
        admin.get("/me").await.assert_problem(401, "unauthenticated");
        assert_eq!(agent.status(&server.url()).await, 200, "an agent has what is set");
    }

    /// Or who has to leave would stay in the accounts of others.
    async fn it_ends_with_every_session_of_the_administrator(server: TestServer) {
        let chief = server.admin().await;
        for way in ["disable", "delete", "roles", "sessions", "end all", "password", "reset"] {
            let (admin, owner) = (server.admin().await, server.signed_in().await);
            let person = admin.person();
            let again = person.sign_in_again().await;
            let cookie = cookie_of(&act_as(&admin, &owner.user_id).await);
            assert!(is_alive(&server, &cookie).await, "{way}");
            let user = format!("/admin/users/{}", person.user_id);
            match way {
                "disable" => drop(chief.disable(&person.user_id).await.assert_status(204)),
                "delete" => drop(chief.delete(&user).await.assert_status(204)),
                "roles" => drop(chief.put_json(&format!("{user}/roles"), &json!({ "roles": [] })).await.assert_status(204)),
                "sessions" => drop(chief.delete(&format!("{user}/sessions")).await.assert_status(200)),
                "end all" => drop(again.end_others().await.assert_status(200)),
                "password" => drop(again.change_password(PASSWORD, "four other words, unlikely").await.assert_status(200)),
                _ => {
                    let body = json!({ "token": server.reset_token(&person.email), "new_password": "four other words, unlikely" });
                    server.anonymous().post_json("/reset", &body).await.assert_status(204);
                }
            }
            assert!(!is_alive(&server, &cookie).await, "{way}");
            assert!(owner.is_signed_in().await, "{way}");
        }
    }

    /// As often as `tests/run --soak` asks for.
    async fn an_administrator_who_is_disabled_meanwhile_acts_for_nobody(server: TestServer) {
        let chief = server.admin().await;
        let owner = server.signed_in().await;
        let rounds = if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 200 } else { 8 };
        for round in 0..rounds {
            let admin: Admin = server.admin().await;
            let disabling = async {
                tokio::time::sleep(Duration::from_micros(round % 8 * 900)).await;
                chief.disable(&admin.person().user_id).await.assert_status(204);
            };
            let ((), answer) = tokio::join!(disabling, act_as(&admin, &owner.user_id));
            assert!([200, 401, 403].contains(&answer.status), "{answer}");
            if answer.status == 200 {
                assert!(!is_alive(&server, &cookie_of(&answer)).await, "round {round}");
            }
        }
        let live = format!("user_id = '{}' AND ended_at IS NULL AND actor IS NOT NULL", owner.user_id);
        assert_eq!(server.stores.database.count("sessions", &live), 0);
    }

    async fn an_applications_user_is_helped_alike_and_nothing_of_it_stays_after_a_deletion(server: TestServer) {
        let (admin, shop) = (server.admin().await, shop(&server));
        let own = shop.session_of("user-1").await;
        act_as(&admin, &own.user_id).await.assert_status(200);
        let me = admin.get("/me").await.json();
        assert_eq!(me["user"]["subject"], "user-1");
        command_line_ok(&server.settings, &["user", "delete", &own.user_id], "");
        admin.get("/me").await.assert_problem(401, "unauthenticated");
        assert_eq!(server.stores.database.count("audit", "event = 'acting_session_issued' AND detail IS NULL"), 1);
        assert!(!server.stores.database.dump_text().contains("4711"), "what was said about the user is gone");
    }
}
