//! ASVS V16, logging and errors, as far as `tests/api` does not show it: on real processes, whose log is read.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use reqwest::Method;
use serde_json::Value;
use sessiond::http::headers::{AnswerHeaders, complete};

use crate::support::client::{Admin, Anonymous, PASSWORD, SignedIn};
use crate::support::process::Process;
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;
use crate::support::settings::Settings;

/// The lines of a JSON log; panics on one that is none. What the start prints for people is on standard output and is
/// no log.
fn lines(log: &str) -> Vec<Value> {
    let is_log = |line: &&str| {
        !line.starts_with("sessiond serves")
            && !line.starts_with("There is no administrator")
            && !line.starts_with("    ")
    };
    let parsed = log
        .lines()
        .filter(is_log)
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}")));
    parsed.collect()
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The security lines of an event.
fn of_event<'a>(lines: &'a [Value], event: &str) -> Vec<&'a str> {
    let start = format!("event={event} ");
    let ours =
        lines.iter().filter(|line| text(line, "target") == "sessiond::security" && text(line, "level") == "WARN");
    ours.map(|line| text(line, "message")).filter(|message| message.starts_with(&start)).collect()
}

/// Everything that is refused, each once, by a person who does nothing else.
async fn refusals(process: &Process) -> SignedIn {
    let owner = process.anonymous().sign_up().await;
    process.anonymous().login(&owner.email, "what somebody mistyped").await.assert_status(401);
    owner.change_password("what somebody mistyped", "another four plain words").await.assert_status(403);
    owner.post(&format!("/admin/users/{}/disable", owner.user_id)).await.assert_problem(403, "forbidden");
    let foreign = owner.call(Method::POST, "/logout").header("Origin", "https://evil.example\u{9b}31m");
    foreign.send().await.assert_problem(403, "forbidden-origin");
    let forged = owner.change(Method::DELETE, "/sessions").header("X-CSRF-Token", "a forged token");
    forged.send().await.assert_problem(403, "wrong-csrf-token");
    owner
}

on_each_backend! {
    async fn v16_2_v16_3_what_is_refused_is_a_line_with_who_what_when_and_where(server: TestServer) {
        let settings = server.settings.clone().with("RUST_LOG", "trace").with("SESSIOND_LOG_FORMAT", "json");
        let mut process = Process::start(&settings);
        let owner = refusals(&process).await;
        assert!(process.terminate());
        let log = lines(&process.output());
        for line in &log {
            let ts = text(line, "ts");
            assert!(ts.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(ts).is_ok(), "16.2.2: {line}");
            assert!(!text(line, "level").is_empty() && !text(line, "target").is_empty(), "16.2.4: {line}");
        }
        // 16.3.1, 16.3.2, 16.3.3
        for (event, times, known) in
            [("authn_login_fail", 1, false), ("authn_password_fail", 1, true), ("authz_fail", 1, true), ("csrf_fail", 2, true)]
        {
            let found = of_event(&log, event);
            assert_eq!(found.len(), times, "{event}: {found:?}");
            for message in found {
                assert!(message.contains(" ip=127.0.0.1 "), "{message}");
                let request = message.split("request=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
                assert!(uuid::Uuid::parse_str(request).is_ok_and(|id| !id.is_nil()), "{message}");
                let foreign = message.contains("origin");
                let who = format!("user={} session={}", owner.user_id, owner.session_id);
                assert_eq!(message.contains(&who), known && !foreign, "{message}");
                for secret in ["mistyped", "forged token", PASSWORD, &owner.email] {
                    assert!(!message.contains(secret), "{message}");
                }
            }
        }
    }

    async fn v16_2_1_v16_3_1_what_was_done_is_a_row_with_who_what_when_and_where(server: TestServer) {
        let owner = server.signed_in().await;
        let (other, third) = (owner.sign_in_again().await, owner.sign_in_again().await);
        other.sign_out().await.assert_status(204);
        owner.end_session(&third.session_id).await.assert_status(204);
        owner.change_password(PASSWORD, "another four plain words").await.assert_status(200);
        let admin = Admin::create(&server.settings, &server.url()).await;
        admin.disable(&owner.user_id).await.assert_status(204);
        admin.enable(&owner.user_id).await.assert_status(204);
        let rows = |event: &str| server.stores.database.count("audit", &format!("event = '{event}' AND user_id = '{}'", owner.user_id));
        for (event, times) in [
            ("user_created", 1), ("authn_login_success", 3), ("session_revoked", 3), ("authn_password_change", 1), ("user_disabled", 1), ("user_enabled", 1),
        ] {
            assert_eq!(rows(event), times, "{event}");
        }
        let complete = "at > 0 AND length(actor) > 0 AND ip = '127.0.0.1' AND length(request_id) = 36";
        let here = format!("user_id = '{}'", owner.user_id);
        assert_eq!(server.stores.database.count("audit", &format!("{here} AND NOT ({complete})")), 0);
        assert!(server.stores.database.count("audit", &format!("{here} AND {complete}")) >= 10);
    }

    async fn v16_4_1_what_is_sent_cannot_write_a_line_of_its_own(server: TestServer) {
        let settings = server.settings.clone().with("RUST_LOG", "trace").with("SESSIOND_LOG_FORMAT", "json");
        let mut process = Process::start(&settings);
        let forged = "a\r\n{\"event\":\"authn_login_success\"}\u{1b}[2J";
        let visitor: Anonymous = process.anonymous();
        visitor.login(forged, PASSWORD).await.assert_status(422);
        visitor.call(Method::POST, "/logout%0d%0a{\"event\":\"authn_login_success\"}").send().await.assert_status(404);
        let call = visitor.call(Method::DELETE, "/sessions/%0d%0a%1b[2J{\"event\":\"x\"}");
        call.header("Origin", "https://evil.example").send().await.assert_status(403);
        process.terminate();
        for line in lines(&process.output()) {
            assert!(line.get("event").is_none(), "{line}");
            assert!(!text(&line, "message").starts_with('{'), "{line}");
        }
        assert!(!process.output().contains('\u{1b}'));
    }
}

#[cfg(feature = "postgres")]
mod with_redis {
    use std::time::Duration;

    use super::{lines, text};
    use crate::support::process::Process;
    use crate::support::server::{Backend, Stores};
    use crate::support::wait::until;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn v16_3_4_v16_5_1_a_redis_that_is_lost_is_told_in_the_log_and_to_no_client() {
        let stores = Stores::new(Backend::Production);
        let settings = stores.settings().with("SESSIOND_LOG_FORMAT", "json");
        let process = Process::start(&settings);
        let owner = process.anonymous().sign_up().await;
        assert!(owner.is_signed_in().await);
        stores.servers().kill();
        until("the log tells of it", PATIENCE, async || {
            owner.me().await.assert_status(200);
            process.output().contains("continuing without Redis")
        })
        .await;
        let answer = owner.sign_out().await;
        answer.assert_problem(503, "unconfirmed");
        for inside in ["redis", "127.0.0.1", "refused", "src/", "panicked"] {
            assert!(!answer.text().to_lowercase().contains(inside), "{inside}: {answer}");
        }
        let log = lines(&process.output());
        assert!(
            log.iter().any(|line| text(line, "level") == "WARN" && text(line, "message").contains("Redis")),
            "{log:?}"
        );
    }
}

/// The middleware of every answer, around a handler that panics: 500, a problem, with every header; and the same
/// connection and the others go on.
#[tokio::test]
async fn v16_5_4_a_handler_that_panics_is_answered_and_the_server_goes_on() {
    let config = Settings::new().config().expect("settings");
    let answers = Arc::new(AnswerHeaders::new(&config));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (tell, told) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let answers = Arc::clone(&answers);
                let broken = async || -> HttpResponse { panic!("the password was hunter2") };
                App::new().route("/broken", web::to(broken)).route("/whole", web::to(HttpResponse::Ok)).wrap(from_fn(
                    move |request, next| complete(Arc::clone(&answers), uuid::Uuid::from_u128(9), request, next),
                ))
            });
            let server = server.workers(1).disable_signals().listen(listener).expect("it listens").run();
            let _ = tell.send(server.handle());
            server.await
        })
    });
    let handle = told.await.expect("a handle");
    let visitor = Anonymous::at(&url);
    for _ in 0..3 {
        let answer = visitor.get("/broken").await;
        answer.assert_problem(500, "internal");
        assert!(!answer.text().contains("hunter2"), "{answer}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer}");
        assert_eq!(answer.header("x-request-id"), Some("00000000-0000-0000-0000-000000000009"), "{answer}");
        visitor.get("/whole").await.assert_status(200);
    }
    handle.stop(false).await;
    thread.join().expect("the server's thread ends").expect("in order");
}
