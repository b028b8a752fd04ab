//! Gateways as docs/gateways.md shows them, in front of an application that reads headers as WSGI, CGI and PHP do:
//! no header of a client makes it another user.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::client::{Anonymous, SignedIn};
use crate::support::gateway::{Gateway, Kind};
use crate::support::raw::{RawResponse, raw};
use crate::support::wait::until;

/// Answers with what it sees of a request; the first line that it prints is its port.
const WSGI: &str = r#"
import json
from wsgiref.simple_server import WSGIRequestHandler, make_server

class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

def seen(environ, start):
    body = json.dumps({k: v for k, v in environ.items() if k.startswith("HTTP_")}).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]

server = make_server("127.0.0.1", 0, seen, handler_class=Quiet)
print(server.server_port, flush=True)
server.serve_forever()
"#;

const IDENTITY: [&str; 5] =
    ["X-Session-User", "X-Session-Id", "X-Session-Authenticated-At", "X-Session-Csrf", "X-Session-Actor"];

/// What is written in front of the headers, so that a proxy drops some of them, or takes the request for another.
const TRICKS: [&str; 7] = [
    "",
    "Connection: close, X-Session-User, X-Session-Id, X-Session-Authenticated-At, X-Session-Csrf, X-Session-Actor\r\n",
    "Connection: close, x_session_user, Cookie-Not, X_Session-Id\r\nKeep-Alive: X-Session-User\r\n",
    "Connection: close\r\nConnection: X-Session-User\r\nConnection: X-Session-Csrf\r\n",
    "Proxy-Connection: X-Session-User\r\nTE: trailers, X-Session-User\r\nTrailer: X-Session-Id\r\n",
    "Connection: X-Session-User, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "X-Forwarded-User: victim\r\nForwarded: for=victim\r\nX-Original-URL: /x\r\nX-Forwarded-Method: OPTIONS\r\n",
];

struct Wsgi {
    process: Child,
    port: u16,
}

impl Wsgi {
    fn start() -> Self {
        let started = Command::new("python3").args(["-c", WSGI]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut process = started.expect("python3: run tests/run, which installs it or says what to install");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        Self { process, port: line.trim().parse().expect("a port") }
    }
}

impl Drop for Wsgi {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Shown {
    gateway: Gateway,
    application: Wsgi,
    owner: SignedIn,
}

impl Shown {
    async fn start(kind: Kind) -> Self {
        let application = Wsgi::start();
        let gateway = Gateway::start(kind, application.port);
        let owner = Anonymous::at(&format!("{}/sessiond", gateway.site())).sign_up().await;
        Self { gateway, application, owner }
    }

    fn cookie(&self) -> String {
        format!("__Host-session={}", self.owner.cookie())
    }

    /// Through the gateway.
    async fn asks(&self, path: &str, lines: &str) -> RawResponse {
        asks(&self.gateway.site(), path, lines).await
    }

    /// What the application sees of its owner's request with these lines.
    async fn sees(&self, lines: &str) -> BTreeMap<String, String> {
        seen(&self.asks("/x", &format!("{lines}Cookie: {}\r\n", self.cookie())).await)
    }

    /// It is told who asks, and nothing that the client has written.
    fn assert_told_the_truth(&self, what: &str, seen: &BTreeMap<String, String>) {
        let about_sessions = |(name, value): (&String, &String)| {
            let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            let ours = name.strip_prefix("HTTP_X_SESSION_").map(|rest| (rest.to_owned(), value.clone()));
            assert!(!value.contains("victim") || ours.is_none(), "{what}: {name} is {value}");
            ours
        };
        let told: BTreeMap<_, _> = seen.iter().filter_map(about_sessions).collect();
        let names: Vec<_> = told.keys().map(String::as_str).collect();
        assert_eq!(names, ["ACTOR", "AUTHENTICATED_AT", "CSRF", "ID", "USER"], "{what}: {seen:?}");
        assert_eq!(told.get("USER"), Some(&self.owner.user_id), "{what}");
        assert_eq!(told.get("ID"), Some(&self.owner.session_id), "{what}");
        assert_eq!(told.get("CSRF").map(String::as_str), Some("none"), "{what}");
        assert!(told.get("AUTHENTICATED_AT").is_some_and(|at| at.parse::<u64>().is_ok()), "{what}: {told:?}");
    }
}

async fn asks(server: &str, path: &str, lines: &str) -> RawResponse {
    let host = server.trim_start_matches("http://");
    // HTTP/1.0: the connection ends with the answer, whatever the lines say of it.
    raw(server, format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n{lines}\r\n").as_bytes()).await
}

fn seen(answer: &RawResponse) -> BTreeMap<String, String> {
    assert_eq!(answer.status, Some(200), "{answer:?}");
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// All spellings of a name with these separators, in the usual case, in lower and in upper.
fn spellings(name: &str) -> Vec<String> {
    let parts: Vec<_> = name.split('-').collect();
    let mut all = vec![String::new()];
    for (at, part) in parts.iter().enumerate() {
        let separators: &[&str] = if at == 0 { &[""] } else { &["-", "_", "."] };
        all = all.iter().flat_map(|begun| separators.iter().map(move |it| format!("{begun}{it}{part}"))).collect();
    }
    all.iter().flat_map(|it| [it.clone(), it.to_lowercase(), it.to_uppercase()]).collect()
}

async fn nobody_is_somebody_else(kind: Kind) {
    let shown = Shown::start(kind).await;
    let odd = ["X~Session~User", "X!Session-Id", "X|Session_Id", "X^Session`User", "x-session~csrf", "X#SESSION.USER"];
    let every: Vec<String> = IDENTITY.iter().flat_map(|name| spellings(name)).chain(odd.map(str::to_owned)).collect();
    assert!(every.len() >= 100, "{}", every.len());

    // The application trusts what reaches it: this is what the gateway is there for.
    let unguarded = asks(&format!("127.0.0.1:{}", shown.application.port), "/x", "X_Session_User: victim\r\n").await;
    assert_eq!(seen(&unguarded).get("HTTP_X_SESSION_USER").map(String::as_str), Some("victim"));

    let all =
        |names: &[String], value: &str| names.iter().map(|name| format!("{name}: {value}\r\n")).collect::<String>();
    for trick in TRICKS {
        // HAProxy reads a hundred headers.
        for some in every.chunks(40) {
            for lines in [all(some, "victim") + &all(some, "victim-again"), all(some, "")] {
                shown.assert_told_the_truth(
                    &format!("{kind:?} {trick:?}"),
                    &shown.sees(&format!("{trick}{lines}")).await,
                );
            }
        }
    }
    for name in &every {
        let lines = format!("Connection: close, {name}\r\n{name}: victim\r\n");
        shown.assert_told_the_truth(&format!("{kind:?} {name}"), &shown.sees(&lines).await);
    }

    // Who is signed in has a token to show; who is not is nobody, whatever they say.
    let token = shown.owner.me().await.json()["csrf_token"].as_str().expect("a token").to_owned();
    let told = shown.sees(&format!("X-CSRF-Token: {token}\r\n")).await;
    assert_eq!(told.get("HTTP_X_SESSION_CSRF").map(String::as_str), Some("valid"), "{kind:?}: {told:?}");
    let stranger = shown.asks("/x", &all(&every[..40], "victim")).await;
    assert_eq!(stranger.status, Some(401), "{kind:?}: {stranger:?}");

    lives_through_many_lines(kind, &shown).await;
    upgrades_to_web_sockets_alone(kind, &shown).await;
    has_other_cookies_alone(kind, &shown).await;
    is_503_where_it_cannot_be_told(kind, &shown).await;
}

/// As many lines of a name as the gateway reads, and more: it answers, and goes on.
async fn lives_through_many_lines(kind: Kind, shown: &Shown) {
    for name in ["Accept", "User-Agent", "Cookie", "Sec-Fetch-Mode", "X-CSRF-Token", "X-No-Touch", "Upgrade", "X-Other"]
    {
        for count in [90, 97, 98, 99, 101, 300] {
            // HAProxy has the first of a name, and all cookies.
            let lines = format!("{name}: a=1\r\n").repeat(count);
            let cookie = format!("Cookie: {}\r\n", shown.cookie());
            let answer = shown.asks("/x", &format!("{cookie}{lines}")).await;
            // sessiond and Python read a hundred; nginx makes 503 of sessiond's refusal.
            assert!(matches!(answer.status, Some(200 | 400 | 401 | 431 | 503)), "{kind:?} {count} {name}: {answer:?}");
            shown.assert_told_the_truth(&format!("{kind:?} after {count} {name}"), &shown.sees("").await);
        }
    }
}

/// Behind any other protocol the gateway would pass bytes that it does not read.
async fn upgrades_to_web_sockets_alone(kind: Kind, shown: &Shown) {
    let host = shown.gateway.site().trim_start_matches("http://").to_owned();
    for lines in [
        "Upgrade: h2c\r\n",
        "Upgrade: H2C\r\n",
        "Upgrade: h2c, websocket\r\n",
        "Upgrade: websocket, h2c\r\n",
        "Upgrade: websocket,h2c\r\n",
        "Upgrade: h2c\r\nUpgrade: websocket\r\n",
        "Upgrade: websocket\r\nUpgrade: h2c\r\n",
        "Upgrade: TLS/1.0\r\n",
        "Upgrade: \r\nUpgrade: h2c\r\n",
        "Upgrade: websocket\r\n",
    ] {
        // "close": the connection ends with the answer.
        let request = format!(
            "GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {lines}Cookie: {}\r\n\r\n",
            shown.cookie()
        );
        let told = seen(&raw(&shown.gateway.site(), request.as_bytes()).await);
        let upgrade = told.get("HTTP_UPGRADE").map(String::as_str);
        if lines == "Upgrade: websocket\r\n" {
            // The lines for nginx have none.
            let expected = (kind != Kind::Nginx).then_some("websocket");
            assert_eq!(upgrade, expected, "{kind:?}: {told:?}");
        } else {
            assert!(matches!(upgrade, None | Some("websocket")), "{kind:?} {lines:?}: {told:?}");
        }
        shown.assert_told_the_truth(&format!("{kind:?} {lines:?}"), &told);
    }
}

/// The application sees its own cookies, and none of sessiond's.
async fn has_other_cookies_alone(kind: Kind, shown: &Shown) {
    let (session, device) = (shown.cookie(), "__Host-device=aaaa");
    // nginx takes out one of a name, and all cookies where there are more.
    let several = |others| if kind == Kind::Nginx { "" } else { others };
    for (sent, expected) in [
        (session.clone(), ""),
        (format!("{session}; {device}"), ""),
        (format!("{device}; {session}"), ""),
        (format!("a=1; {session}; b=x,y z; {device}; c=3"), "a=1; b=x,y z; c=3"),
        (format!("a=1;{session};{device};b=2"), "a=1;b=2"),
        (format!("{device}; a=\"1\"; {session}; a=2"), "a=\"1\"; a=2"),
        (
            format!("__Host-sessions=1; {session}; session=2; x__Host-device=3"),
            "__Host-sessions=1; session=2; x__Host-device=3",
        ),
        (
            format!("my.__Host-device=1; {session}; x-__Host-session=2; a=__Host-device=3"),
            "my.__Host-device=1; x-__Host-session=2; a=__Host-device=3",
        ),
        (format!("a=1; __Host-device =aaaa; {session};  __Host-device\t=bbbb"), several("a=1")),
        (format!("{device}; a=1; {session}; {device};b=2"), several("a=1; b=2")),
        (format!("{device};;{device}; {session}; a=1; {device}"), several("a=1")),
    ] {
        let told = seen(&shown.asks("/x", &format!("Cookie: {sent}\r\n")).await);
        let cookies = told.get("HTTP_COOKIE").map(String::as_str).unwrap_or_default();
        let pairs = |text: &str| {
            text.split(';').map(|pair| pair.trim().to_owned()).filter(|it| !it.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(pairs(cookies), pairs(expected), "{kind:?}: {sent}");
        assert!(!cookies.starts_with(';'), "readers stop there: {cookies}");
    }
}

async fn is_503_where_it_cannot_be_told(kind: Kind, shown: &Shown) {
    let database = &shown.gateway.stores.database;
    database.execute("ALTER TABLE sessions RENAME TO sessions_away");
    let cookie = format!("Cookie: {}\r\nAccept: text/html\r\n", shown.cookie());
    let answer = shown.asks("/x", &cookie).await;
    database.execute("ALTER TABLE sessions_away RENAME TO sessions");
    assert_eq!((answer.status, answer.header("retry-after").len()), (Some(503), 1), "{kind:?}: {answer:?}");
    assert!(answer.header("set-cookie").is_empty() && answer.header("location").is_empty(), "{kind:?}: {answer:?}");
    shown.assert_told_the_truth("and again", &shown.sees("").await);
}

/// A process that is stopped takes connections and never answers. Patience for a raw answer is ten seconds.
async fn a_sessiond_that_hangs_is_503_soon(kind: Kind) {
    let shown = Shown::start(kind).await;
    shown.assert_told_the_truth("before", &shown.sees("").await);
    shown.gateway.sessiond.pause();
    let cookie = format!("Cookie: {}\r\n", shown.cookie());
    for lines in [format!("{cookie}Accept: text/html\r\n"), cookie, "Accept: text/html\r\n".to_owned()] {
        let answer = shown.asks("/x", &lines).await;
        assert_eq!((answer.status, answer.header("retry-after")), (Some(503), vec!["5"]), "{kind:?}: {answer:?}");
        assert!(answer.body.starts_with("Unavailable"), "{kind:?}: {answer:?}");
        assert!(answer.header("set-cookie").is_empty() && answer.header("location").is_empty(), "{kind:?}: {answer:?}");
    }
    shown.gateway.sessiond.resume();
    until("it answers again", Duration::from_secs(20), async || {
        shown.asks("/x", &format!("Cookie: {}\r\n", shown.cookie())).await.status == Some(200)
    })
    .await;
    shown.assert_told_the_truth("after", &shown.sees("").await);
}

/// Whatever the address: to sign in, and with it where that may be.
async fn every_navigation_ends_at_sign_in(kind: Kind) {
    let application = Wsgi::start();
    let gateway = Gateway::start(kind, application.port);
    let site = gateway.site();
    let long = format!("/long?{}", "x=%C3%A9&".repeat(380));
    let longest = format!("/longest?{}", "&".repeat(3_000));
    for page in ["/", "/list?ids=1,2", "/a//b;c=(1)!*'$&+,=:@/?x=/?[]{}|^`\\", "/%41%2f%ff", "//evil.example/x", &long]
    {
        let answer = asks(&site, page, "Accept: text/html\r\n").await;
        let location = answer.header("location").first().map(|it| (*it).to_owned()).unwrap_or_default();
        assert_eq!(answer.status, Some(302), "{kind:?} {page}: {answer:?}");
        let next: String =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &format!("{site}{page}")).finish();
        assert_eq!(location, format!("{site}/sessiond/bounce?{next}"), "{kind:?}: {answer:?}");
        // The way there, as a browser goes it.
        let there = location.strip_prefix(&site).expect("the same host");
        let at_the_door = asks(&site, there, "Accept: text/html\r\n").await;
        assert_eq!(at_the_door.header("location"), [format!("./?{next}")], "{kind:?}: {at_the_door:?}");
        assert_eq!(asks(&site, &format!("/sessiond/?{next}"), "").await.status, Some(200), "{kind:?} {page}");
    }
    let too_long = asks(&site, &longest, "Accept: text/html\r\n").await;
    assert_eq!(too_long.header("location"), [format!("{site}/sessiond/")], "{kind:?}: {too_long:?}");
    if kind != Kind::Caddy {
        over_http2(&gateway, kind);
    }
    if kind == Kind::Nginx {
        // As under HTTP/3, where nginx has no $http_host.
        let no_host = raw(&site, b"GET /list?ids=1,2 HTTP/1.0\r\nAccept: text/html\r\n\r\n").await;
        let expected = "http%3A%2F%2Flocalhost%2Flist%3Fids%3D1%2C2";
        assert!(no_host.header("location").first().is_some_and(|it| it.ends_with(expected)), "{no_host:?}");
    }
}

fn over_http2(gateway: &Gateway, kind: Kind) {
    let page = format!("http://localhost:{}/list?ids=1,2", gateway.http2_port);
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--include",
        "--http2-prior-knowledge",
        "--noproxy",
        "*",
        "--header",
        "Accept: text/html",
        &page,
    ]);
    let answer = String::from_utf8_lossy(&curl.output().expect("curl").stdout).to_lowercase();
    let expected = format!("bounce?next=http%3a%2f%2flocalhost%3a{}%2flist%3fids%3d1%2c2", gateway.http2_port);
    assert!(answer.starts_with("http/2 302") && answer.contains(&expected), "{kind:?}: {answer}");
}

#[tokio::test]
async fn v4_1_3_nobody_is_somebody_else_behind_nginx() {
    nobody_is_somebody_else(Kind::Nginx).await;
}

#[tokio::test]
async fn v4_1_3_nobody_is_somebody_else_behind_caddy() {
    nobody_is_somebody_else(Kind::Caddy).await;
}

#[tokio::test]
async fn v4_1_3_nobody_is_somebody_else_behind_haproxy() {
    nobody_is_somebody_else(Kind::HaProxy).await;
}

#[tokio::test]
async fn a_sessiond_that_hangs_is_503_soon_behind_nginx() {
    a_sessiond_that_hangs_is_503_soon(Kind::Nginx).await;
}

#[tokio::test]
async fn a_sessiond_that_hangs_is_503_soon_behind_caddy() {
    a_sessiond_that_hangs_is_503_soon(Kind::Caddy).await;
}

#[tokio::test]
async fn a_sessiond_that_hangs_is_503_soon_behind_haproxy() {
    a_sessiond_that_hangs_is_503_soon(Kind::HaProxy).await;
}

#[tokio::test]
async fn every_navigation_ends_at_sign_in_behind_nginx() {
    every_navigation_ends_at_sign_in(Kind::Nginx).await;
}

#[tokio::test]
async fn every_navigation_ends_at_sign_in_behind_caddy() {
    every_navigation_ends_at_sign_in(Kind::Caddy).await;
}

#[tokio::test]
async fn every_navigation_ends_at_sign_in_behind_haproxy() {
    every_navigation_ends_at_sign_in(Kind::HaProxy).await;
}
