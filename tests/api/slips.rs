//! What an operator mistypes: settings with a slip, addresses that cannot be read, words in the wrong place. The answer names
//! the setting and no part of what was typed; what no setting is called is told.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::support::process::{Process, command_line, command_line_ok};
use crate::support::server::{Backend, Stores};
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};

/// In every hostile value, where a password or a part of one would be.
const SECRET: &str = "hunter2";

/// The exit code and all that is said, with every log line that can be asked for.
fn told(settings: &Settings, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command_line(&settings.clone().with("RUST_LOG", "trace"), arguments, "");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[track_caller]
fn assert_not_told(what: &str, text: &str) {
    assert!(!text.contains(SECRET), "{what}: {text}");
}

/// A value that cannot be read is one sentence and exit code 2, at every start, without a word of it.
#[test]
fn no_address_that_cannot_be_read_is_repeated() {
    let database = [
        "postgres://sd:100%hunter2@h/sd",
        "postgres://sd:hunter2%@h/sd",
        "postgres://sd:hunter2%ff@h/sd",
        "postgres://sd:p/hunter2@h/sd",
        "postgres://sd:5432/hunter2@h/sd",
        "postgres://sd:1?hunter2@h/sd",
        "postgres://sd:1#hunter2@h/sd",
        "postgres://sd:p@hunter2@h/sd",
        "postgres://sd:p hunter2@h/sd",
        "postgres://sd:p@h/sd?password=a&hunter2=b",
        "postgres://sd:p@h/sd?password=a&hunter2",
        "postgres://sd:p@h/sd?sslmode=hunter2",
        "postgres://sd:p@a:hunter2,b:2/sd",
        "host=h user=sd password=hunter2",
        "\"postgres://sd:hunter2@h/sd\"",
        "sqlite://sd:hunter2@h/sd",
        "sqlite://sd.db?key=hunter2",
        "hunter2://h",
    ];
    let redis = [
        "redis://:100%hunter2@h",
        "redis://:hunter2%zz@h",
        "redis://u:6379/hunter2@h",
        "redis://u:1?hunter2@h",
        "redis://u:1#hunter2@h",
        "redis://u:p@h/hunter2",
        "rediss://u:p@a,rediss://u:hunter2%@b",
        "redis://u:p@h,hunter2",
        "redis+sentinel://:hunter2%@a,b?service=m",
        "redis+sentinel://:p@a?service=m&sentinel_password=%hunter2",
        "redis+sentinel://:p@a?service=hunter2!",
        "hunter2@h",
    ];
    let webhook = ["https://u:hunter2@h/", "http://h.example/hunter2", "hunter2", "https://h/#hunter2"];
    let files = [("SESSIOND_COOKIE_KEY_FILE", SECRET), ("SESSIOND_WEBHOOK_SECRET_FILE", SECRET)];
    let cases = database.map(|value| ("DATABASE_URL", value)).into_iter();
    let cases = cases.chain(redis.map(|value| ("REDIS_URL", value)));
    let cases = cases.chain(webhook.map(|value| ("SESSIOND_WEBHOOK_URL", value))).chain(files);
    let cases = cases.chain([("SESSIOND_COOKIE_KEY", "hunter2"), ("SESSIOND_WEBHOOK_SECRET", "hunter2")]);
    for (number, (variable, value)) in cases.enumerate() {
        let mut settings = Settings::new().with(variable, value);
        if variable.ends_with("_KEY_FILE") {
            settings = settings.without("SESSIOND_COOKIE_KEY");
        }
        if variable.starts_with("SESSIOND_WEBHOOK_SECRET") {
            settings = settings.with("SESSIOND_WEBHOOK_URL", "https://h.example/");
        }
        // Each is read before anything else is done, so one command stands for all but checking. Secrets are for who serves.
        let other: &[&[&str]] = &[&[], &["migrate"], &["user", "list"]];
        let is_for_all = !["_KEY", "_KEY_FILE", "_SECRET", "_SECRET_FILE"].iter().any(|end| variable.ends_with(end));
        for arguments in [&["check-config"][..], other[if is_for_all { number % 3 } else { 0 }]] {
            let (code, text) = told(&settings, arguments);
            assert_not_told(&format!("{variable}={value} {arguments:?}"), &text);
            assert_eq!((code, text.lines().count()), (Some(2), 1), "{variable}={value} {arguments:?}: {text}");
            assert!(text.starts_with(&format!("sessiond: {variable} ")), "{value}: {text}");
        }
    }
}

/// An address that can be read, but leads nowhere or to a stranger: what the drivers say of it is masked.
#[cfg(feature = "postgres")]
#[test]
fn no_address_that_leads_nowhere_is_repeated() {
    for url in [
        "postgres://sd:hunter2@127.0.0.1:1/sd",
        "postgres://sd:hunter2@127.0.0.1:1,127.0.0.1:2/sd",
        "postgres://127.0.0.1:1/sd?user=sd&password=hunter2",
        "postgres://sd@127.0.0.1:1/sd?sslpassword=hunter2&sslkey=/hunter2&sslcert=/hunter2&sslmode=require",
        "postgres://sd@127.0.0.1:1/sd?service=hunter2",
        "postgres://sd@127.0.0.1:1/sd?channel_binding=hunter2",
        "postgres://sd@127.0.0.1:1/sd?passfile=/hunter2",
    ] {
        let settings = Settings::new().with("DATABASE_URL", url);
        for arguments in [&["user", "list"][..], &[]] {
            let (code, text) = told(&settings, arguments);
            assert_not_told(&format!("{url} {arguments:?}"), &text);
            assert!(code == Some(1) && text.contains("sessiond: The database cannot be used: "), "{url}: {text}");
        }
        let (code, text) = told(&settings, &["check-config"]);
        assert_not_told(url, &text);
        assert_eq!(code, Some(0), "{url}: {text}");
    }
}

/// A Redis, or what is taken for one, that repeats what it does not understand; and a receiver that repeats its address.
#[test]
fn nothing_that_another_server_repeats_is_told() {
    let stores = Stores::new(Backend::Embedded);
    let echo = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = echo.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in echo.incoming() {
            let mut stream = stream.expect("a client");
            std::thread::spawn(move || {
                let mut asked = [0; 4_096];
                while let Ok(read @ 1..) = stream.read(&mut asked) {
                    let said = String::from_utf8_lossy(&asked[..read]).replace(['\r', '\n'], " ");
                    let answer = if said.contains("POST ") {
                        format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{said}", said.len())
                    } else {
                        format!("-ERR unknown command, with args beginning with: {said}\r\n")
                    };
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    let settings = stores.settings().with("RUST_LOG", "trace").with_all(&[
        ("SESSIOND_WEBHOOK_URL", &format!("http://127.0.0.1:{port}/in/hunter2")),
        ("SESSIOND_WEBHOOK_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ]);
    let (code, text) = told(&settings, &["webhook", "test"]);
    assert_not_told("webhook test", &text);
    assert!(code == Some(1) && text.contains("404 Not Found"), "{text}");
    for query in ["", "?protocol=resp3"] {
        let settings = settings.clone().with("REDIS_URL", &format!("redis://me:hunter2@127.0.0.1:{port}/{query}"));
        let mut process = Process::start(&settings);
        // Before it serves, a signal ends it as any program.
        let tried = || process.output().contains("sessiond serves") && process.output().contains("Redis");
        crate::support::wait::until_found("Redis was tried", std::time::Duration::from_secs(20), || {
            tried().then_some(())
        });
        assert!(process.terminate());
        assert_not_told(&format!("a Redis that echoes, {query}"), &process.output());
    }
}

/// An address where none belongs is not repeated by the parser of the command line.
#[test]
fn no_address_in_the_wrong_place_is_repeated() {
    let address = "postgres://sd:hunter2@h/sd";
    for arguments in [vec![address], vec!["user", address], vec!["user", "list", address]] {
        let (code, text) = told(&Settings::new(), &arguments);
        assert_not_told(&format!("{arguments:?}"), &text);
        assert!(code == Some(2) && text.contains("see `sessiond --help`"), "{text}");
    }
    for arguments in [&["--databse-url", address][..], &["check-config", "--database", "sqlite://x", address]] {
        let (code, text) = told(&Settings::new(), arguments);
        assert_not_told("a wrong option", &text);
        assert!(code == Some(2) && text.contains("'--database-url'"), "the name of an option is no secret: {text}");
    }
    let (code, text) = told(&Settings::new(), &["user", "lst"]);
    assert!(code == Some(2) && text.contains("'list'"), "other slips are told as they are: {text}");
}

/// A name that is nearly a setting's changes nothing, and is told; what an orchestrator sets is no slip.
#[tokio::test]
async fn a_setting_that_is_none_is_told_and_keeps_nothing_from_starting() {
    let stores = Stores::new(Backend::Embedded);
    let settings = stores.settings().with_all(&[
        ("SESSIOND_REGISTRATON", "closed"),
        ("SESSIOND_MAX_SESION", "3"),
        ("SESSIOND_PORT", "tcp://10.0.0.7:8080"),
        ("SESSIOND_PORT_8080_TCP_ADDR", "10.0.0.7"),
        ("SESSIOND_SERVICE_HOST", "10.0.0.7"),
        ("SESSIOND_SERVICE_PORT_HTTP", "8080"),
    ]);
    let process = Process::start(&settings);
    let told = "SESSIOND_REGISTRATON is not a setting and has no effect: did you mean SESSIOND_REGISTRATION?";
    let other = "SESSIOND_MAX_SESION is not a setting and has no effect: did you mean SESSIOND_MAX_SESSIONS?";
    let output = process.output();
    assert!(output.contains(told) && output.contains(other), "{output}");
    assert_eq!(output.matches("is not a setting").count(), 2, "{output}");
    let checked = command_line(&settings, &["check-config"], "");
    assert!(checked.status.success() && String::from_utf8_lossy(&checked.stderr).contains(told));
    assert!(settings.config().is_ok(), "for an application that mounts the session layer as well");
    process.anonymous().sign_up().await;
}

/// A setting that is no text is named; the parser of the command line would not say which.
#[test]
fn a_setting_that_is_no_text_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_sessiond"))
        .arg("check-config")
        .env_clear()
        .env("SESSIOND_REGISTRATION", std::ffi::OsStr::from_bytes(b"clos\xffed"))
        .output()
        .expect("the program was built with the tests");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(2), "sessiond: SESSIOND_REGISTRATION is not UTF-8.\n"));
}

/// Whoever makes an account is told in which database: without the settings of the server it would be another one.
#[tokio::test]
async fn the_first_start_and_every_change_name_the_database() {
    let stores = Stores::new(Backend::Embedded);
    let process = Process::start(&stores.settings());
    let (waited, url) = (stopwatch(), stores.database.url());
    let hint = "There is no administrator yet. Create one in another terminal:";
    until("the hint is printed", std::time::Duration::from_secs(10), async || process.output().contains(hint)).await;
    let output = process.output();
    let command = output.lines().find(|line| line.contains("user add")).unwrap_or_else(|| panic!("{output}"));
    assert!(command.ends_with(&format!("--role admin --database-url {url}")), "{command}");
    assert!(!output.contains("files open"), "nothing that a newcomer can do nothing about: {output}");
    println!("told after {:?}", waited());
    // As it is typed, in another folder and without any of the server's settings.
    let arguments: Vec<_> = command.split_whitespace().skip(1).collect();
    let added = command_line(&Settings::default(), &arguments, "correct horse battery\n");
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    assert_eq!(String::from_utf8_lossy(&added.stderr), format!("sessiond: done in {url}\n"));
    process.anonymous().login("you@example.org", "correct horse battery").await.assert_status(200);
    let listed = command_line_ok(&Settings::default().with("DATABASE_URL", &url), &["user", "list"], "");
    assert!(listed.contains("you@example.org"), "{listed}");
}
