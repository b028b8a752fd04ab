//! Forged requests: for every route that changes something, who may have made the request is judged before anything
//! else, by Origin, by Sec-Fetch-Site, or by what a form cannot send.

use std::time::Duration;

use crate::api::tools::{Operation, cookie_line, fingerprint, operations, problem_of, send};
use crate::support::client::{Anonymous, SignedIn};
use crate::support::raw::RawResponse;
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::until_found;

const HOME: &str = "Origin: https://app.example.org";
const EVIL: &str = "Origin: https://evil.example";
const NULL: &str = "Origin: null";
const JSON: &str = "Content-Type: application/json";
const ASKED: &str = "X-Requested-With: sessiond";

/// Refused whatever else the request carries.
const FOREIGN: [&[&str]; 10] = [
    &[EVIL],
    &[NULL],
    &[HOME, EVIL],
    &[EVIL, HOME],
    &["Origin: https://app.example.org.evil.example"],
    &["Origin: http://app.example.org"],
    &[EVIL, "Sec-Fetch-Site: same-site"],
    &[NULL, "Sec-Fetch-Site: cross-site"],
    &["Sec-Fetch-Site: same-site"],
    &["Sec-Fetch-Site: cross-site"],
];

/// What a form of any page can send, from a browser that tells neither Origin nor Sec-Fetch-Site.
const FORMS: [&str; 3] = [
    "Content-Type: text/plain",
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Type: multipart/form-data; boundary=x",
];

/// Accepted: the reasons, each alone.
const OURS: [&[&str]; 4] = [
    &[HOME],
    &["Sec-Fetch-Site: same-origin"],
    &[EVIL, "Sec-Fetch-Site: same-origin"],
    &[HOME, "Sec-Fetch-Site: same-site"],
];

async fn attempt(
    server: &TestServer,
    operation: &Operation,
    who: &SignedIn,
    lines: &[&str],
    body: &[u8],
) -> RawResponse {
    let cookie = cookie_line(who);
    let lines = [&[cookie.as_str()], lines].concat();
    send(server, operation.method.as_str(), &operation.path(), &lines, body).await
}

/// The operations that change something, and an administrator to forge requests of.
async fn scene(server: &TestServer) -> (Vec<Operation>, SignedIn) {
    let all = operations(server).await;
    let mutating: Vec<Operation> = all.into_iter().filter(Operation::mutates).collect();
    assert!(mutating.len() >= 10, "{mutating:?}");
    let admin = server.admin().await;
    (mutating, admin.person().copy_at(&server.url()))
}

on_each_backend! {
    async fn foreign_pages_change_nothing(server: TestServer) with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let (mutating, victim) = scene(&server).await;
        let before = fingerprint(&server.stores.database);
        for operation in &mutating {
            for foreign in FOREIGN {
                for body in [b"{}".as_slice(), b""] {
                    // Even with what clients that are no browsers would show.
                    let lines = [foreign, &[JSON, ASKED]].concat();
                    let answer = attempt(&server, operation, &victim, &lines, body).await;
                    assert_eq!(answer.status, Some(403), "{operation:?} {foreign:?}: {answer:?}");
                    assert_eq!(problem_of(&answer).as_deref(), Some("forbidden-origin"), "{operation:?} {foreign:?}");
                    assert!(answer.header("set-cookie").is_empty(), "{operation:?} {foreign:?}: {answer:?}");
                }
            }
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(victim.is_signed_in().await);
    }

    async fn forms_of_old_browsers_change_nothing(server: TestServer) with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let (mutating, victim) = scene(&server).await;
        let before = fingerprint(&server.stores.database);
        for operation in &mutating {
            for form in FORMS {
                for lines in [vec![form], vec![form, ASKED]] {
                    let answer = attempt(&server, operation, &victim, &lines, b"{\"name\":\"Eve\"}").await;
                    assert_eq!(answer.status, Some(403), "{operation:?} {lines:?}: {answer:?}");
                }
            }
            // No body, no header of its own: an empty form.
            for lines in [vec![], vec!["Content-Length: 0"], vec!["Sec-Fetch-Site: none", ASKED]] {
                let answer = attempt(&server, operation, &victim, &lines, b"").await;
                assert_eq!(answer.status, Some(403), "{operation:?} {lines:?}: {answer:?}");
            }
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(victim.is_signed_in().await);
    }

    async fn our_own_pages_and_programs_are_let_through(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let (mutating, owner) = scene(&server).await;
        for operation in &mutating {
            // A body that is refused, so that only what needs none has an effect.
            let (body, plain): (&[u8], &[&str]) = if operation.has_body { (b"{}", &[JSON]) } else { (b"", &[ASKED]) };
            let programs = std::iter::once(plain.to_vec());
            let pages = OURS.iter().map(|ours| if operation.has_body { [ours, plain].concat() } else { ours.to_vec() });
            for lines in programs.chain(pages) {
                let session = server.issue(&owner).await;
                let answer = attempt(&server, operation, &session, &lines, body).await;
                let expected: &[u16] = if operation.has_body { &[422] } else { &[200, 204, 404] };
                let status = answer.status.unwrap_or_default();
                assert!(expected.contains(&status), "{operation:?} {lines:?}: {answer:?}");
            }
        }
    }

    async fn reading_needs_no_origin_and_gives_none_away(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let owner = server.signed_in().await;
        for origin in [EVIL, NULL] {
            let cookie = cookie_line(&owner);
            for (method, path, status) in
                [("GET", "/me", 200), ("HEAD", "/sessions", 200), ("OPTIONS", "/me", 405), ("OPTIONS", "/login", 405)]
            {
                let preflight = ["Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type"];
                let lines = [&[cookie.as_str(), origin], preflight.as_slice()].concat();
                let answer = send(&server, method, path, &lines, b"").await;
                assert_eq!(answer.status, Some(status), "{method} {path} {origin}: {answer:?}");
                assert!(!answer.head.to_lowercase().contains("access-control-"), "no CORS: {answer:?}");
            }
        }
    }

    async fn no_page_can_sign_its_visitor_in_as_somebody_else(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let attacker = server.signed_in().await;
        let visitor: Anonymous = server.anonymous();
        let body = serde_json::json!({ "email": attacker.email, "password": attacker.password });
        for (name, value) in [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
            let call = visitor.call(reqwest::Method::POST, "/login").header(name, value).json(&body);
            let answer = call.send().await;
            assert!(answer.assert_problem(403, "forbidden-origin").set_cookies().is_empty(), "{answer}");
        }
        assert_eq!(server.stores.database.count("sessions", "1 = 1"), 1);
    }
}

/// What a forgotten or misspelled SESSIOND_ORIGIN looks like to whoever has to find it.
#[tokio::test]
async fn a_refusal_names_the_origin_and_the_setting() {
    let stores = crate::support::server::Stores::new(crate::support::server::Backend::Embedded);
    let server = crate::support::process::Process::start(&stores.settings());
    let visitor = server.anonymous();
    let long = format!("https://{}.example", "a".repeat(2_000));
    for (sent, named) in [
        ("https://app.example.com", "https://app.example.com"),
        ("http://localhost:1", "http://localhost:1"),
        ("null", "null"),
        ("x\" event=login", "x\\\" event=login"),
        (&long, long.get(..120).expect("a long one")),
    ] {
        let request = visitor.call(reqwest::Method::POST, "/login").header("Origin", sent);
        let answer = request.body("application/json", "{}").send().await;
        let problem = answer.assert_problem(403, "forbidden-origin").json();
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains(named) && detail.contains("SESSIOND_ORIGIN") && detail.len() < 300, "{detail}");
        let told = format!("SESSIOND_ORIGIN does not list the origin \"{named}");
        // A thread of its own writes the log.
        let line = until_found("the line", Duration::from_secs(10), || {
            server.output().lines().find(|line| line.contains(&told)).map(str::to_owned)
        });
        assert!(line.len() < 500, "{line}");
    }
    let answer = visitor.call(reqwest::Method::POST, "/login").header("Sec-Fetch-Site", "cross-site").send().await;
    answer.assert_problem(403, "forbidden-origin");
}
