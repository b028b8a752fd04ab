//! `sessiond webhook …`, the example receiver, and what a wrong setting says.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::ports::free_port;
use crate::support::process::{Process, command_line, command_line_ok};
use crate::support::server::Backend;
use crate::support::settings::Settings;
use crate::support::wait::{until, until_found};
use crate::webhook::delivery::{PATIENCE, World};
use crate::webhook::receiver::{Answer, OTHER, SECRET};

/// The exit code, and what was said on either way.
fn said(settings: &Settings, arguments: &[&str]) -> (i32, String) {
    let output = command_line(settings, arguments, "");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("an exit code"), String::from_utf8(text).expect("UTF-8"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_message_says_what_was_answered() {
    let world = World::new(Backend::Embedded).await;
    let (code, text) = said(&world.settings, &["webhook", "test"]);
    assert!(
        code == 0 && text.contains("accepted the message: 204 No Content, after ") && !text.contains("hunter2"),
        "{text}"
    );
    assert_eq!(world.receiver.has_taken(1).await[0].kind(), "webhook.test");
    world.receiver.answer(Answer::RefuseWith("test".to_owned()));
    let (code, text) = said(&world.settings, &["webhook", "test"]);
    assert_eq!(code, 1);
    assert!(text.contains("did not accept the message: 400 Bad Request: no") && !text.contains('\x1b'), "{text:?}");
    world.receiver.stop().await;
    let (code, text) = said(&world.settings, &["webhook", "test"]);
    assert!(code == 1 && text.contains("cannot be reached") && text.lines().count() == 1, "{text}");
    let (code, text) = said(&world.stores.settings(), &["webhook", "test"]);
    assert!(code == 2 && text.contains("SESSIOND_WEBHOOK_URL is not set"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_can_be_seen() {
    let world = World::new(Backend::Embedded).await;
    command_line_ok(&world.settings, &["migrate"], "");
    assert_eq!(
        command_line_ok(&world.settings, &["webhook", "pending"], ""),
        "Waiting: 0; given up in the last 30 days: 0.\n"
    );
    world.receiver.answer(Answer::RefuseWith("session".to_owned()));
    let node = world.node().await;
    let user = node.anonymous().sign_up().await;
    user.sign_out().await.assert_status(204);
    until("it was tried", PATIENCE, async || world.stores.database.count("webhook_outbox", "last_error > ''") > 0)
        .await;
    let table = command_line_ok(&world.settings, &["webhook", "pending"], "");
    assert!(table.contains("session.created") && table.contains("it answered 400 Bad Request"), "{table}");
    assert!(table.ends_with("Waiting: 2; given up in the last 30 days: 0.\n") && !table.contains('\x1b'), "{table}");
    let json: serde_json::Value =
        serde_json::from_str(&command_line_ok(&world.settings, &["webhook", "pending", "--json"], "")).expect("JSON");
    assert_eq!((&json["pending"], json["notices"].as_array().map(Vec::len)), (&2.into(), Some(2)), "{json}");
    assert_eq!(json["notices"][1]["type"], "session.revoked");
}

#[test]
fn a_wrong_setting_is_one_sentence_and_no_secret_is_shown() {
    let settings = |url: &str, secret: &str| {
        Settings::new().with("SESSIOND_WEBHOOK_URL", url).with("SESSIOND_WEBHOOK_SECRET", secret)
    };
    for (url, secret, sentence) in [
        ("http://hooks.example.org/hunter2", SECRET, "SESSIOND_WEBHOOK_URL is http:// to another machine"),
        (
            "https://169.254.169.254/hunter2",
            SECRET,
            "SESSIOND_WEBHOOK_URL leads to an address that no receiver can have",
        ),
        ("https://hooks.example.org", "", "SESSIOND_WEBHOOK_SECRET is needed with SESSIOND_WEBHOOK_URL"),
        ("https://hooks.example.org", "hunter2", "SESSIOND_WEBHOOK_SECRET is not base64"),
        ("", SECRET, "SESSIOND_WEBHOOK_SECRET is set without SESSIOND_WEBHOOK_URL"),
    ] {
        let (code, text) = said(&settings(url, secret), &[]);
        assert!(code == 2 && text.contains(sentence) && text.lines().count() == 1, "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let good = settings("https://hooks.example.org/hunter2", SECRET);
    let (code, text) = said(&good, &["check-config"]);
    assert!(code == 0 && text.contains("https://hooks.example.org/***"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("AAEC"), "{text}");
    // Whom this machine trusts is known before the first message is lost.
    let nobody = good.with("SSL_CERT_FILE", "/dev/null").with("SSL_CERT_DIR", "/dev/null");
    let (code, text) = said(&nobody.with("DATABASE_URL", "sqlite://none.db"), &[]);
    assert!(code == 1 && text.contains("SESSIOND_WEBHOOK_URL: this machine trusts no certificate authority"), "{text}");
}

/// The reasons by the derived schema, which a new one cannot be missing from.
#[test]
fn the_documentation_names_every_reason() {
    use sessiond::domain::EndReason;
    use utoipa::PartialSchema as _;

    let documentation = include_str!("../../docs/webhooks.md");
    let schema = serde_json::to_value(EndReason::schema()).expect("JSON");
    let reasons = schema["enum"].as_array().expect("a list");
    assert!(reasons.len() >= 13, "{schema}");
    for reason in reasons {
        let name = reason.as_str().expect("a name");
        assert!(documentation.contains(&format!("`{name}`")), "docs/webhooks.md does not name {name}");
    }
}

struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The example of the documentation, as it stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_takes_what_we_sign_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, log) = (free_port(), folder.path().join("log"));
    let file = std::fs::File::create(&log).expect("a file");
    let mut example = Command::new("python3");
    example.args([concat!(env!("CARGO_MANIFEST_DIR"), "/examples/webhook_receiver.py"), &port.to_string()]);
    example.env("WEBHOOK_SECRET", SECRET).env("PYTHONUNBUFFERED", "1");
    let child =
        example.stdin(Stdio::null()).stdout(file).stderr(Stdio::null()).spawn().expect("this test needs python3");
    let _example = Example(child);
    let settings = crate::support::server::Stores::new(Backend::Embedded);
    let settings = (settings.settings().with("SESSIOND_WEBHOOK_URL", &format!("http://127.0.0.1:{port}/")), settings);
    let with = |secret: &str| settings.0.clone().with("SESSIOND_WEBHOOK_SECRET", secret);
    until_found("the example answers", Duration::from_secs(20), || {
        (said(&with(SECRET), &["webhook", "test"]).0 == 0).then_some(())
    });
    let (code, text) = said(&with(OTHER), &["webhook", "test"]);
    assert!(code == 1 && text.contains("401"), "{text}");
    let (code, text) = said(&with(&format!("{OTHER},{SECRET}")), &["webhook", "test"]);
    assert_eq!(code, 0, "{text}");
    let node = Process::start(&with(SECRET));
    let user = node.anonymous().sign_up().await;
    user.sign_out().await.assert_status(204);
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    until("the example has been told", PATIENCE, async || read().matches("session.revoked").count() == 1).await;
    let text = read();
    assert!(text.contains(&user.session_id) && text.matches("session.created").count() == 1, "{text}");
    // What is old, forged or not signed at all, as anybody could send it.
    let client = reqwest::Client::new();
    for (id, timestamp, signature) in [("a", "1", "v1,AAAA"), ("a", "x", ""), ("", "", "v1,"), ("é", "1", "v2,é v1,é")]
    {
        let request = client.post(format!("http://127.0.0.1:{port}/")).body("{}");
        let request = request.header("webhook-id", id).header("webhook-timestamp", timestamp);
        let answer = request.header("webhook-signature", signature).send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{id:?} {timestamp:?} {signature:?}");
    }
}
