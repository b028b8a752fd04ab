//! The main job: make an account, sign in, see who and where one is, end sessions, sign out.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::tools::{NOBODY, only_cookie};
use crate::support::client::{COOKIE, PASSWORD, SignedIn, new_email};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

/// What is set at sign-in and at nothing else, after the value.
const ATTRIBUTES: [&str; 4] = ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"];

/// The attributes of a `Set-Cookie` line, in order.
fn attributes(line: &str) -> Vec<&str> {
    let mut found: Vec<&str> = line.split("; ").skip(1).collect();
    found.sort_unstable();
    found
}

fn assert_clears(answer: &crate::support::requests::Response) {
    let line = only_cookie(answer);
    assert!(line.starts_with(&format!("{COOKIE}=;")), "{line}");
    let kept: Vec<&str> = attributes(&line).into_iter().filter(|part| !part.starts_with("Expires")).collect();
    assert_eq!(kept, ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Strict", "Secure"], "{line}");
}

/// The reason that the ledger gives.
fn end_reason(server: &TestServer, who: &SignedIn) -> String {
    let sql = format!("SELECT coalesce(end_reason, 'live') AS value FROM sessions WHERE id = '{}'", who.session_id);
    server.stores.database.value(&sql)
}

on_each_backend! {
    async fn an_account_is_made_once_and_is_not_signed_in(server: TestServer) {
        let visitor = server.anonymous();
        let email = new_email();
        let body = json!({ "email": email, "password": PASSWORD, "name": "  Ana  " });
        let made = visitor.post_json("/register", &body).await;
        let user = made.assert_status(201).json().get("user").cloned().expect("a user");
        assert_eq!(user.get("email"), Some(&json!(email)));
        assert_eq!(user.get("email_verified"), Some(&json!(false)), "nobody has shown that mail arrives there");
        assert_eq!(user.get("name"), Some(&json!("Ana")), "a name is trimmed");
        assert_eq!(user.get("roles"), Some(&json!(["user"])), "nobody is born an administrator");
        assert!(made.set_cookies().is_empty(), "{made}");
        visitor.get("/me").await.assert_problem(401, "unauthenticated");
        // One account for all spellings of one address.
        for again in [email.clone(), email.to_uppercase(), format!(" {email} ")] {
            visitor.register(&again).await.assert_problem(409, "email-taken");
        }
        assert_eq!(server.stores.database.count("users", "1 = 1"), 1);
    }

    async fn signing_in_opens_a_session_that_me_shows(server: TestServer) {
        let visitor = server.anonymous();
        let email = new_email();
        visitor.register(&email).await.assert_status(201);
        visitor.login(&email, "another password").await.assert_problem(401, "wrong-credentials");
        visitor.get("/me").await.assert_problem(401, "unauthenticated");
        let answer = visitor.login(&email.to_uppercase(), PASSWORD).await;
        let line = only_cookie(answer.assert_status(200));
        assert_eq!(attributes(&line), ATTRIBUTES, "no Domain, no Max-Age: {line}");
        assert!(line.len() < 4_096, "browsers keep no longer ones");
        let owner = visitor.into_signed_in(&email, PASSWORD, &answer);
        let me = owner.me().await;
        assert!(me.set_cookies().is_empty(), "a check sets nothing: {me}");
        let me = me.assert_status(200).json();
        assert_eq!(me.pointer("/user"), answer.json().pointer("/user"));
        assert_eq!(me.pointer("/user/email"), Some(&json!(email)), "as typed at registration");
        assert_eq!(me.pointer("/session/id"), Some(&json!(owner.session_id)));
        assert_eq!(me.pointer("/session/current"), Some(&json!(true)));
    }

    async fn a_name_is_changed_and_taken_away(server: TestServer) {
        let owner = server.signed_in().await;
        for (given, kept) in [(json!("Ana Lía 🦀"), json!("Ana Lía 🦀")), (json!("  "), Value::Null), (Value::Null, Value::Null)] {
            let answer = owner.patch_json("/me", &json!({ "name": given })).await;
            assert_eq!(answer.assert_status(200).json().pointer("/user/name"), Some(&kept));
            assert_eq!(owner.me().await.json().pointer("/user/name"), Some(&kept));
        }
        owner.rename(Some(&"x".repeat(101))).await.assert_problem(422, "invalid-body");
        owner.rename(Some("a\nb")).await.assert_problem(422, "invalid-body");
        server.anonymous().patch_json("/me", &json!({ "name": "Eve" })).await.assert_problem(401, "unauthenticated");
    }

    async fn the_list_shows_every_live_session_and_marks_this_one(server: TestServer) {
        let owner = server.signed_in().await;
        let firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";
        let elsewhere = server.anonymous();
        let body = json!({ "email": owner.email, "password": PASSWORD, "remember": true });
        let answer = elsewhere.change(Method::POST, "/login").header("User-Agent", firefox).json(&body).send().await;
        let elsewhere = elsewhere.into_signed_in(&owner.email, PASSWORD, &answer);
        let stranger = server.signed_in().await;

        let list = owner.sessions().await;
        assert_eq!(list.len(), 2, "not the stranger's: {list:?}");
        let entry = list.iter().find(|entry| entry["id"] == elsewhere.session_id.as_str()).expect("the other one");
        let mut fields: Vec<&str> = entry.as_object().expect("an object").keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, [
            "actor", "authenticated_at", "created_at", "current", "device", "expires_at", "id", "idle_expires_at", "ip",
            "last_seen_at", "location", "remember",
        ]);
        assert_eq!(entry["device"], json!({ "browser": "Firefox", "os": "Windows", "kind": "desktop" }));
        assert_eq!((&entry["current"], &entry["remember"]), (&json!(false), &json!(true)));
        assert_eq!((&entry["ip"], &entry["location"]), (&json!("127.0.0.1"), &Value::Null));
        for time in ["authenticated_at", "created_at", "expires_at", "idle_expires_at", "last_seen_at"] {
            let text = entry[time].as_str().expect("a time");
            assert!(text.len() == 24 && text.ends_with('Z') && text.contains('T'), "RFC 3339 in UTC: {text}");
        }
        let marked: Vec<&Value> = list.iter().filter(|entry| entry["current"] == json!(true)).collect();
        assert_eq!(marked.len(), 1);
        assert_eq!(marked[0]["id"], owner.session_id.as_str());
        assert_eq!(stranger.sessions().await.len(), 1);
        server.anonymous().get("/sessions").await.assert_problem(401, "unauthenticated");
    }

    async fn ending_one_session_ends_that_one_and_can_be_repeated(server: TestServer) {
        let owner = server.signed_in().await;
        let (there, bystander) = (server.issue(&owner).await, server.issue(&owner).await);
        assert!(there.is_signed_in().await && bystander.is_signed_in().await);
        for _ in 0..2 {
            let answer = owner.end_session(&there.session_id).await;
            assert!(answer.assert_status(204).set_cookies().is_empty(), "{answer}");
            assert!(!there.is_signed_in().await, "the very next request");
        }
        assert_eq!(end_reason(&server, &there), "signed_out_elsewhere");
        assert!(owner.is_signed_in().await && bystander.is_signed_in().await);
        owner.end_session(NOBODY).await.assert_problem(404, "not-found");
        // The one that asks: that is signing out, so its cookie goes.
        let thief = owner.copy_at(&server.url());
        assert_clears(owner.end_session(&owner.session_id).await.assert_status(204));
        assert!(!thief.is_signed_in().await);
        assert_eq!(end_reason(&server, &owner), "signed_out");
    }

    async fn ending_the_others_leaves_this_one_and_include_current_leaves_none(server: TestServer) {
        let owner = server.signed_in().await;
        let others = [server.issue(&owner).await, server.issue(&owner).await];
        let stranger = server.signed_in().await;
        let answer = owner.end_others().await;
        assert_eq!(answer.assert_status(200).json(), json!({ "revoked": 2 }));
        assert!(answer.set_cookies().is_empty(), "{answer}");
        for other in &others {
            assert!(!other.is_signed_in().await);
        }
        assert!(owner.is_signed_in().await && stranger.is_signed_in().await);
        assert_eq!(owner.end_others().await.json(), json!({ "revoked": 0 }));
        owner.delete("/sessions?include_current=perhaps").await.assert_status(400);
        assert!(owner.is_signed_in().await, "a request that is refused does nothing");

        let last = server.issue(&owner).await;
        let thief = owner.copy_at(&server.url());
        let answer = owner.end_all().await;
        assert_eq!(answer.assert_status(200).json(), json!({ "revoked": 2 }));
        assert_clears(&answer);
        assert!(!last.is_signed_in().await && !thief.is_signed_in().await && stranger.is_signed_in().await);
    }

    async fn signing_out_is_right_with_a_live_a_dead_and_no_cookie(server: TestServer) {
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        let copies = [owner.copy_at(&server.url()), owner.copy_at(&server.url())];
        let answer = owner.sign_out().await;
        assert_clears(answer.assert_status(204));
        assert_eq!(answer.header("clear-site-data"), Some("\"cache\", \"storage\""));
        assert!(!copies[0].is_signed_in().await, "a copy of the cookie is worth nothing");
        for who in &copies {
            assert_clears(who.sign_out().await.assert_status(204));
        }
        assert_clears(server.anonymous().post("/logout").await.assert_status(204));
        assert!(other.is_signed_in().await, "another session of the same person goes on");
        let lines = format!("event = 'session_revoked' AND session_id = '{}'", owner.session_id);
        assert_eq!(server.stores.database.count("audit", &lines), 1, "repeated, but ended once");
        for method in [Method::GET, Method::HEAD] {
            other.call(method, "/logout").send().await.assert_status(405);
        }
        assert!(other.is_signed_in().await, "a link or an image signs nobody out");
    }

    async fn signing_in_with_a_live_cookie_ends_that_session(server: TestServer) {
        let owner = server.signed_in().await;
        let before = owner.copy_at(&server.url());
        let wrong = json!({ "email": owner.email, "password": "another password" });
        owner.post_json("/login", &wrong).await.assert_problem(401, "wrong-credentials");
        assert!(owner.is_signed_in().await, "a failed attempt ends nothing");
        let right = json!({ "email": owner.email, "password": PASSWORD });
        let answer = owner.post_json("/login", &right).await;
        assert_ne!(answer.assert_status(200).json().pointer("/session/id"), Some(&json!(owner.session_id)));
        assert_ne!(owner.cookie(), before.cookie());
        assert!(owner.is_signed_in().await && !before.is_signed_in().await);
        assert_eq!(end_reason(&server, &before), "replaced");
        // Also somebody else's: one browser, one session.
        let guest = server.signed_in().await;
        let before = owner.copy_at(&server.url());
        let body = json!({ "email": guest.email, "password": PASSWORD });
        let answer = owner.post_json("/login", &body).await;
        assert_eq!(answer.assert_status(200).json().pointer("/user/id"), Some(&json!(guest.user_id)));
        assert!(!before.is_signed_in().await && guest.is_signed_in().await);
    }

    async fn a_cookie_from_elsewhere_does_not_become_the_session(server: TestServer) {
        // Fixation: an attacker plants a cookie of a session of his own before the victim signs in.
        let attacker = server.signed_in().await;
        let planted = server.issue(&attacker).await;
        let victim = planted.copy_at(&server.url());
        let (email, visitor) = (new_email(), server.anonymous());
        visitor.register(&email).await.assert_status(201);
        victim.post_json("/login", &json!({ "email": email, "password": PASSWORD })).await.assert_status(200);
        assert_ne!(victim.cookie(), planted.cookie());
        assert_eq!(victim.me().await.json().pointer("/user/email"), Some(&json!(email)));
        assert!(!planted.is_signed_in().await);
    }
}
