//! Cross-site request forgery on every route of `/openapi.json` that changes something, so that a new one cannot be
//! forgotten: the decision table, and the CSRF token in a header.

use serde_json::{Value, json};

use crate::api::tools::{Operation, cookie_line, fingerprint, operations, problem_of, send};
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::raw::RawResponse;
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

const HOME: &str = "Origin: https://app.example.org";
const JSON: &str = "Content-Type: application/json";
const ASKED: &str = "X-Requested-With: sessiond";

/// security.md §5, H-20: what a request tells of where it comes from, and whether it may change something.
const TABLE: [(&str, &[&str], bool); 8] = [
    ("same-origin", &["Sec-Fetch-Site: same-origin"], true),
    ("same-site", &["Sec-Fetch-Site: same-site"], false),
    ("cross-site", &["Sec-Fetch-Site: cross-site"], false),
    ("none", &["Sec-Fetch-Site: none"], false),
    ("absent, Origin is ours", &[HOME], true),
    ("absent, Origin is another's", &["Origin: https://evil.example"], false),
    ("absent, Origin is null", &["Origin: null"], false),
    ("both absent, and nothing that a form could not send", &[], false),
];

async fn mutating(server: &TestServer) -> Vec<Operation> {
    let all: Vec<Operation> = operations(server).await.into_iter().filter(Operation::mutates).collect();
    for path in ["/login", "/logout", "/register", "/reset", "/me", "/sessions", "/admin/users/{id}/disable"] {
        assert!(all.iter().any(|operation| operation.template == path), "{path} is no longer among them");
    }
    all
}

async fn ask(server: &TestServer, it: &Operation, who: &SignedIn, lines: &[&str], body: &[u8]) -> RawResponse {
    let cookie = cookie_line(who);
    send(server, it.method.as_str(), &it.path(), &[&[cookie.as_str()], lines].concat(), body).await
}

pub async fn csrf_token(who: &SignedIn) -> String {
    let me = who.me().await.assert_status(200).json();
    me.get("csrf_token").and_then(Value::as_str).expect("a CSRF token").to_owned()
}

fn assert_wrong_token(what: &str, operation: &Operation, answer: &RawResponse) {
    assert_eq!(answer.status, Some(403), "{what}: {operation:?}: {answer:?}");
    assert_eq!(problem_of(answer).as_deref(), Some("wrong-csrf-token"), "{what}: {operation:?}: {answer:?}");
    assert!(answer.header("set-cookie").is_empty(), "{what}: {operation:?}: {answer:?}");
}

on_each_backend! {
    async fn h_20_the_table_of_eight_rows_holds_on_every_route_that_changes_something(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let admin = server.admin().await;
        let owner = admin.person();
        for operation in mutating(&server).await {
            let victim = server.issue(owner).await;
            let before = fingerprint(&server.stores.database);
            for (row, lines, _) in TABLE.iter().filter(|(.., may)| !may) {
                // Even with what no form could send, but in the row that is about that.
                let (body, kind): (&[u8], &[&str]) = match (operation.has_body, lines.is_empty()) {
                    (true, true) => (b"{}", &["Content-Type: text/plain"]),
                    (true, false) => (b"{}", &[JSON, ASKED]),
                    (false, true) => (b"", &[]),
                    (false, false) => (b"", &[ASKED]),
                };
                let answer = ask(&server, &operation, &victim, &[lines, kind].concat(), body).await;
                assert_eq!(answer.status, Some(403), "{row}: {operation:?}: {answer:?}");
                assert_eq!(problem_of(&answer).as_deref(), Some("forbidden-origin"), "{row}: {operation:?}: {answer:?}");
            }
            assert_eq!(fingerprint(&server.stores.database), before, "{operation:?}");
            assert!(victim.is_signed_in().await, "{operation:?}");
            for (row, lines, _) in TABLE.iter().filter(|(.., may)| *may) {
                // A body that is refused, so that only what needs none has an effect.
                let (body, kind): (&[u8], &[&str]) = if operation.has_body { (b"{}", &[JSON]) } else { (b"", &[]) };
                let expected: &[u16] = if operation.has_body { &[422] } else { &[200, 204, 404] };
                let session = server.issue(owner).await;
                let answer = ask(&server, &operation, &session, &[lines, kind].concat(), body).await;
                assert!(expected.contains(&answer.status.unwrap_or_default()), "{row}: {operation:?}: {answer:?}");
            }
        }
    }

    async fn c_35_a_sec_fetch_site_that_is_not_known_leaves_it_to_the_origin(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let owner = server.signed_in().await;
        let site = "Sec-Fetch-Site: banana";
        for (lines, status) in [
            (vec![site, HOME], 204),
            (vec![site, "Origin: https://evil.example"], 403),
            (vec![site, "Origin: null"], 403),
            (vec![site, ASKED], 403),
        ] {
            let session = server.issue(&owner).await;
            let cookie = cookie_line(&session);
            let answer = send(&server, "POST", "/logout", &[&[cookie.as_str()], lines.as_slice()].concat(), b"").await;
            assert_eq!(answer.status, Some(status), "{lines:?}: {answer:?}");
        }
    }

    async fn a_csrf_token_in_the_header_must_be_of_the_session_on_every_route_that_changes_something(server: TestServer) {
        let admin = server.admin().await;
        let victim = server.issue(admin.person()).await;
        let (right, others) = (csrf_token(&victim).await, csrf_token(&server.issue(admin.person()).await).await);
        let before = fingerprint(&server.stores.database);
        let (upper, longer, cut) = (right.to_uppercase(), format!("{right}A"), right.get(..63).expect("ASCII").to_owned());
        let (cookie, token) = (victim.cookie(), victim.token());
        let wrong = ["", "x", &others, &upper, &longer, &cut, &cookie, &token, &victim.session_id, &victim.user_id, "null", "undefined"];
        for operation in mutating(&server).await {
            let (body, kind): (&[u8], &str) = if operation.has_body { (b"{}", JSON) } else { (b"", ASKED) };
            for text in wrong {
                let line = format!("X-CSRF-Token: {text}");
                let answer = ask(&server, &operation, &victim, &[kind, &line], body).await;
                assert_wrong_token(text, &operation, &answer);
            }
            let line = format!("X-CSRF-Token: {right}");
            assert_wrong_token("twice", &operation, &ask(&server, &operation, &victim, &[kind, &line, &line], body).await);
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(victim.is_signed_in().await);
        // The right one changes nothing about the answer. (Each on a session of its own: some of them end it.)
        for operation in mutating(&server).await {
            let (body, kind): (&[u8], &str) = if operation.has_body { (b"{}", JSON) } else { (b"", ASKED) };
            let session = server.issue(admin.person()).await;
            let line = format!("X-CSRF-Token: {}", csrf_token(&session).await);
            let answer = ask(&server, &operation, &session, &[kind, &line], body).await;
            let expected: &[u16] = if operation.has_body { &[422] } else { &[200, 204, 404] };
            assert!(expected.contains(&answer.status.unwrap_or_default()), "{operation:?}: {answer:?}");
        }
    }

    async fn n_11_a_csrf_token_is_not_read_from_a_body(server: TestServer) {
        // Of nobody else does an administrators' route read a body.
        let admin = server.admin().await;
        let owner = admin.person();
        let body = json!({ "csrf_token": csrf_token(owner).await }).to_string();
        let before = fingerprint(&server.stores.database);
        let takers: Vec<Operation> = mutating(&server).await.into_iter().filter(|operation| operation.has_body).collect();
        assert!(takers.len() >= 5, "{takers:?}");
        for operation in &takers {
            let answer = ask(&server, operation, owner, &[JSON], body.as_bytes()).await;
            assert_eq!(answer.status, Some(422), "{operation:?}: {answer:?}");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
    }

    async fn a_renewal_voids_the_csrf_token_and_me_has_the_next_one(server: TestServer) {
        let owner = server.signed_in().await;
        let [first, again] = [csrf_token(&owner).await, csrf_token(&owner).await];
        assert_ne!(first, again, "each is another text");
        let rename = async |token: &str| {
            owner.change(reqwest::Method::PATCH, "/me").header("X-CSRF-Token", token).json(&json!({ "name": "Ana" })).send().await
        };
        for token in [&first, &again] {
            rename(token).await.assert_status(200);
        }
        owner.change_password(PASSWORD, "another four plain words").await.assert_status(200);
        for token in [&first, &again] {
            rename(token).await.assert_problem(403, "wrong-csrf-token");
        }
        rename(&csrf_token(&owner).await).await.assert_status(200);
        let next = server.anonymous().sign_in(&owner.email, "another four plain words").await;
        let answer = next.change(reqwest::Method::POST, "/logout").header("X-CSRF-Token", &csrf_token(&owner).await).send().await;
        answer.assert_problem(403, "wrong-csrf-token");
        assert!(next.is_signed_in().await && owner.is_signed_in().await);
    }

    async fn a_csrf_token_is_good_at_every_node(server: TestServer) {
        let owner = server.signed_in().await;
        let node = server.another_node().await;
        let there = owner.copy_at(&node.url());
        let token = csrf_token(&owner).await;
        let call = there.change(reqwest::Method::PATCH, "/me").header("X-CSRF-Token", &token);
        call.json(&json!({ "name": "Ana" })).send().await.assert_status(200);
    }
}
