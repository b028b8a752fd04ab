//! Bodies that are not exactly as described: each is a clear problem, nothing is changed, and it is never our fault.

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::tools::{cookie_line, fingerprint, operations, problem_of, send};
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::raw::RawResponse;
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::stopwatch;

const JSON: &str = "Content-Type: application/json";

/// A route that takes a body, and a body that it would take.
struct Taker {
    method: String,
    path: String,
    good: Map<String, Value>,
    required: Vec<&'static str>,
}

/// Every one that the document shows; panics when one is missing here.
async fn takers(server: &TestServer, owner: &SignedIn) -> Vec<Taker> {
    let new = "somebody-new@example.org";
    let known = |path: &str| match path {
        "/register" => (json!({ "email": new, "password": PASSWORD, "name": "Ana" }), vec!["email", "password"]),
        "/login" => {
            (json!({ "email": owner.email, "password": PASSWORD, "remember": true }), vec!["email", "password"])
        }
        "/reset" => (json!({ "token": "x", "new_password": PASSWORD }), vec!["token", "new_password"]),
        "/me" => (json!({ "name": "Ana" }), vec!["name"]),
        "/me/password" => (
            json!({ "current_password": PASSWORD, "new_password": "another four plain words" }),
            vec!["current_password", "new_password"],
        ),
        "/reauthenticate" => (json!({ "password": PASSWORD }), vec!["password"]),
        "/admin/users/{id}/impersonate" => (json!({ "reason": "A ticket" }), vec!["reason"]),
        "/admin/sessions/revoke" => (json!({ "filter": { "country": "PT" }, "dry_run": true }), vec!["filter"]),
        other => panic!("what does {other} take?"),
    };
    let all = operations(server).await;
    let takers: Vec<Taker> = all
        .iter()
        // A list of roles has no text of its own to be broken: tests/api/people.rs. Those of services: tests/api/services.rs.
        .filter(|it| it.has_body && it.template != "/admin/users/{id}/roles" && !it.is_for_services())
        .map(|operation| {
            let (good, required) = known(&operation.template);
            let good = good.as_object().cloned().expect("an object");
            Taker { method: operation.method.to_string(), path: operation.path(), good, required }
        })
        .collect();
    assert_eq!(takers.len(), 8);
    takers
}

async fn give(server: &TestServer, taker: &Taker, owner: &SignedIn, lines: &[&str], body: &[u8]) -> RawResponse {
    let cookie = cookie_line(owner);
    let lines = [&[cookie.as_str(), "Origin: http://localhost:8080"], lines].concat();
    send(server, &taker.method, &taker.path, &lines, body).await
}

async fn assert_refused(server: &TestServer, taker: &Taker, owner: &SignedIn, body: &[u8], status: u16) {
    let shown = String::from_utf8_lossy(body).chars().take(200).collect::<String>();
    let answer = give(server, taker, owner, &[JSON], body).await;
    assert_eq!(answer.status, Some(status), "{} {shown:?}: {answer:?}", taker.path);
    let slug = if status == 413 { "body-too-large" } else { "invalid-body" };
    assert_eq!(problem_of(&answer).as_deref(), Some(slug), "{} {shown:?}: {answer:?}", taker.path);
    assert!(answer.header("set-cookie").is_empty(), "{} {shown:?}: {answer:?}", taker.path);
}

/// The head of the answer, as soon as it is there: the server may go on to read what a client goes on to send.
async fn head_of_answer(server: &TestServer, request: &[u8]) -> String {
    let stream = TcpStream::connect(server.node().address()).await.expect("the server accepts");
    let (mut from, mut to) = stream.into_split();
    let (_, head) = tokio::join!(to.write_all(request), async {
        let mut answer = Vec::new();
        while !answer.windows(4).any(|window| window == b"\r\n\r\n")
            && from.read_buf(&mut answer).await.unwrap_or(0) > 0
        {}
        String::from_utf8_lossy(&answer).into_owned()
    });
    head
}

fn text(of: &Map<String, Value>) -> String {
    Value::Object(of.clone()).to_string()
}

on_each_backend! {
    async fn what_is_no_json_object_is_refused_as_a_whole(server: TestServer) with { "SESSIOND_ORIGIN": "http://localhost:8080" } {
        // Who may ask for everything: a body is read of nobody else.
        let admin = server.admin().await;
        let owner = admin.person();
        let before = fingerprint(&server.stores.database);
        for taker in takers(&server, owner).await {
            let good = text(&taker.good);
            let deep = "[".repeat(10_000);
            let field = taker.required.first().expect("a field");
            let nested = format!("{{\"{field}\":{}", "[".repeat(2_000));
            let cases = [
                "", " ", "nonsense", "{", "}", "[]", "null", "7", "true", "\"text\"", &format!("{{\"{field}\""), &format!("{{\"{field}\":"), "'{}'",
                "{'email':'a'}", "{/* a comment */}", &format!("{{\"{field}\":NaN}}"), "email=a&password=b", &deep,
                &format!("\u{feff}{good}"), &format!("{good}x"), &format!("{good}{good}"), &format!("[{good}]"),
                &good.replacen('}', ",}", 1), &good.replacen("\":\"", "\":\"\\ud800", 1), &good.replacen("\":\"", "\":\"\n", 1),
            ];
            for body in cases {
                assert_refused(&server, &taker, owner, body.as_bytes(), 400).await;
            }
            // Wrong in two ways: which one is told does not matter.
            for body in [nested, format!("{{\"{field}\":1e999}}"), format!("{{\"{field}\":{}}}", "9".repeat(5_000))] {
                let answer = give(&server, &taker, owner, &[JSON], body.as_bytes()).await;
                assert!([Some(400), Some(422)].contains(&answer.status), "{}: {answer:?}", taker.path);
                assert_eq!(problem_of(&answer).as_deref(), Some("invalid-body"), "{answer:?}");
            }
            let bad_utf8 = good.replacen("\":\"", "\":\"\u{1}", 1).into_bytes();
            let bad_utf8: Vec<u8> = bad_utf8.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
            assert_refused(&server, &taker, owner, &bad_utf8, 400).await;
            let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_refused(&server, &taker, owner, &utf16, 400).await;
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(owner.is_signed_in().await);
    }

    async fn a_field_that_is_wrong_is_named(server: TestServer) with { "SESSIOND_ORIGIN": "http://localhost:8080" } {
        // Who may ask for everything: a body is read of nobody else.
        let admin = server.admin().await;
        let owner = admin.person();
        let before = fingerprint(&server.stores.database);
        for taker in takers(&server, owner).await {
            let good = text(&taker.good);
            let mut cases = vec![("anything".to_owned(), "{}".to_owned())];
            for field in ["role", "roles", "admin", "user_id", "ip", "__proto__", ""] {
                cases.push((field.to_owned(), good.replacen('{', &format!("{{\"{field}\":\"admin\","), 1)));
            }
            for field in taker.good.keys() {
                let value = &taker.good[field];
                cases.push((field.clone(), good.replacen('{', &format!("{{\"{field}\":{value},"), 1)));
                for wrong in [json!(7), json!(1e300), json!([value]), json!({ "$gt": "" })] {
                    let mut other = taker.good.clone();
                    other.insert(field.clone(), wrong);
                    cases.push((field.clone(), text(&other)));
                }
            }
            for field in &taker.required {
                let mut other = taker.good.clone();
                other.remove(*field);
                cases.push(((*field).to_owned(), text(&other)));
            }
            for (field, body) in cases {
                assert_refused(&server, &taker, owner, body.as_bytes(), 422).await;
                let answer = give(&server, &taker, owner, &[JSON], body.as_bytes()).await;
                let problem: Value = serde_json::from_str(&answer.body).expect("JSON");
                let named = problem.pointer("/errors/0/field").and_then(Value::as_str);
                assert!(field == "anything" || named == Some(&field), "{field}: {body}: {answer:?}");
            }
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(owner.is_signed_in().await);
    }

    async fn a_nul_is_refused_wherever_it_would_be_stored_or_looked_up(server: TestServer)
    with { "SESSIOND_ORIGIN": "http://localhost:8080" } {
        // Who may ask for everything: a body is read of nobody else.
        let admin = server.admin().await;
        let owner = admin.person();
        let before = fingerprint(&server.stores.database);
        for taker in takers(&server, owner).await {
            for field in taker.good.keys().filter(|field| ["email", "name", "token"].contains(&field.as_str())) {
                let mut other = taker.good.clone();
                other.insert(field.clone(), json!("a\0b@example.org"));
                assert_refused(&server, &taker, owner, text(&other).as_bytes(), 422).await;
            }
        }
        assert_eq!(fingerprint(&server.stores.database), before);
    }

    async fn addresses_that_are_none_are_refused_and_open_nothing(server: TestServer) {
        use crate::support::requests::Requests;
        let visitor = server.anonymous();
        let long = format!("{}@example.org", "a".repeat(250));
        for email in ["", "   ", "ana", "@example.org", "ana@", "a b@example.org", "a@b@c", "a@.org", "\u{1b}[31m@x.org", "a\r\n@x.org", &long] {
            visitor.register(email).await.assert_problem(422, "invalid-body");
            // Nobody sees a control character, so it is named.
            let (status, problem) =
                if email.chars().any(char::is_control) { (422, "invalid-body") } else { (401, "wrong-credentials") };
            visitor.login(email, PASSWORD).await.assert_problem(status, problem);
        }
        for email in ["' OR 1=1 --@x.org", "%@x.org", "admin' --", "*@x.org"] {
            visitor.login(email, PASSWORD).await.assert_problem(401, "wrong-credentials");
        }
        visitor.post_json("/register", &json!({ "email": "a@b.c", "password": PASSWORD, "name": "x".repeat(101) })).await.assert_problem(422, "invalid-body");
        assert_eq!(server.stores.database.count("users", "1 = 1"), 0);
    }

    async fn a_body_that_is_too_large_is_refused_before_it_is_read(server: TestServer)
    with { "SESSIOND_ORIGIN": "http://localhost:8080" } {
        // Who may ask for everything: a body is read of nobody else.
        let admin = server.admin().await;
        let owner = admin.person();
        let before = fingerprint(&server.stores.database);
        let large = format!("{{\"email\":\"{}\"}}", "a".repeat(1_000_000));
        let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
        for taker in takers(&server, owner).await {
            let cookie = cookie_line(owner);
            let head = format!(
                "{} {} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:8080\r\n{cookie}\r\n{JSON}\r\n",
                taker.method, taker.path
            );
            for (what, rest) in [
                ("announced", format!("Content-Length: {}\r\n\r\n{large}", large.len())),
                ("announced and never sent", "Content-Length: 99999999999\r\n\r\n".to_owned()),
                ("not announced", format!("Transfer-Encoding: chunked\r\n\r\n{chunked}")),
            ] {
                let watch = stopwatch();
                let head = head_of_answer(&server, format!("{head}{rest}").as_bytes()).await;
                assert!(head.starts_with("HTTP/1.1 413 "), "{} {what}: {head}", taker.path);
                assert!(head.contains("application/problem+json"), "{} {what}: {head}", taker.path);
                assert!(watch().as_millis() < 1_000, "{} {what}: {:?}", taker.path, watch());
            }
        }
        assert_eq!(fingerprint(&server.stores.database), before);
    }

    async fn only_json_is_read(server: TestServer) with { "SESSIOND_ORIGIN": "http://localhost:8080" } {
        // Who may ask for everything: a body is read of nobody else.
        let admin = server.admin().await;
        let owner = admin.person();
        let before = fingerprint(&server.stores.database);
        for taker in takers(&server, owner).await {
            let good = text(&taker.good);
            let others: [&[&str]; 9] = [
                &[], &["Content-Type: "], &["Content-Type: text/plain"], &["Content-Type: text/json"],
                &["Content-Type: application/x-www-form-urlencoded"], &["Content-Type: multipart/form-data; boundary=x"],
                &["Content-Type: application/jsonp"], &["Content-Type: application/json, text/plain"],
                &["Content-Type: text/plain; application/json"],
            ];
            for lines in others {
                let answer = give(&server, &taker, owner, lines, good.as_bytes()).await;
                assert_eq!(answer.status, Some(415), "{} {lines:?}: {answer:?}", taker.path);
                assert_eq!(problem_of(&answer).as_deref(), Some("unsupported-media-type"), "{answer:?}");
            }
            for line in ["Content-Type: application/JSON", "Content-Type: application/json;charset=utf-8"] {
                assert_eq!(give(&server, &taker, owner, &[line], b"{}").await.status, Some(422), "{} {line}", taker.path);
            }
        }
        assert_eq!(fingerprint(&server.stores.database), before);
    }
}
