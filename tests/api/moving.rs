//! Moving: an application leaves sessions of its own for ours, and signs nobody out on the way.
//!
//! Owns the programs of `examples/moving` for Node while they run. Must never pass without them, nor name a cookie of theirs
//! where a browser would not.

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::{Anonymous, COOKIE, PASSWORD};
use crate::support::ports::free_port;
use crate::support::process::Process;
use crate::support::requests::{Call, Requests as _, Response};
use crate::support::server::{Backend, Stores};
use crate::support::service::Service;
use crate::support::wait::until_found;

const TOOLS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/clients");
const HERE: &str = env!("CARGO_MANIFEST_DIR");
const PATIENCE: Duration = Duration::from_secs(30);
const FORM: &str = "application/x-www-form-urlencoded";
/// Where a user is.
const ADDRESS: &str = "192.0.2.7";

/// A program of the application. It is gone when the value is dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // Nothing can be done about an error here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shop that moves, and the sessiond that it moves to.
struct World {
    /// The folder of `examples/moving` that has its programs.
    shop: &'static str,
    folder: TempDir,
    port: u16,
    service: Service,
    server: Process,
    _stores: Stores,
}

impl World {
    fn start(shop: &'static str) -> Self {
        let folder = TempDir::new_in(TOOLS).expect("`tests/run` fetches what the programs are made of");
        // Node looks for modules in the folders above.
        let modules = folder.path().join("node_modules");
        fs::create_dir(&modules).expect("a folder");
        symlink(Path::new(HERE).join("clients/node"), modules.join("sessiond-client")).expect("a link");
        for name in ["package.json", "users.js", &format!("{shop}/before.js"), &format!("{shop}/after.js")] {
            let to = folder.path().join(name);
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::copy(Path::new(HERE).join("examples/moving").join(name), to).expect("a program");
        }
        let key = folder.path().join("key");
        fs::write(&key, SECRET).expect("a file");
        fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("its mode");
        let (stores, port) = (Stores::new(Backend::Embedded), free_port());
        let settings = stores.settings().with_all(&[
            ("SESSIOND_ORIGIN", &format!("http://127.0.0.1:{port}")),
            ("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"),
            ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"),
            ("SESSIOND_EXCHANGE_SECRET_FILE", &key.display().to_string()),
            ("SESSIOND_EXCHANGE_ISSUER", "https://shop.example.org"),
            ("SESSIOND_EXCHANGE_AUDIENCE", "shop"),
            ("SESSIOND_EXCHANGE_UNTIL", "2999-03-01"),
        ]);
        let server = Process::start(&settings);
        let service = Service::add(&settings, &server.url(), "shop", "issue,introspect,revoke");
        Self { shop, folder, port, service, server, _stores: stores }
    }

    /// Starts a program on the port of the shop.
    fn run(&self, program: &str) -> Program {
        let mut command = Command::new("node");
        command.arg(self.folder.path().join(self.shop).join(program)).arg(self.port.to_string()).stdin(Stdio::null());
        command.envs([("SESSIOND_URL", self.server.url().as_str()), ("SESSIOND_SECRET", &self.service.secret)]);
        command.envs([("ANAS_PASSWORD", PASSWORD), ("JWT_SECRET", SECRET), ("SESSION_SECRET", SECRET)]);
        command.env("SESSIONS", self.folder.path().join("sessions"));
        let mut program = Program(command.spawn().expect("Node runs"));
        until_found("the shop listens", PATIENCE, || {
            assert!(matches!(program.0.try_wait(), Ok(None)), "the shop does not start");
            TcpStream::connect(("127.0.0.1", self.port)).is_ok().then_some(())
        });
        program
    }

    fn browser(&self) -> Anonymous {
        Anonymous::at(&format!("http://127.0.0.1:{}", self.port))
    }

    /// A browser in which Ana has signed in.
    async fn signed_in(&self) -> Anonymous {
        let browser = self.browser();
        let form = format!("email=ana%40example.org&password={}", PASSWORD.replace(' ', "+").replace(',', "%2C"));
        let call = call(&browser, Method::POST, "/sign-in");
        call.body(FORM, form).send().await.assert_status(303);
        orders(&browser).await.assert_status(200);
        browser
    }

    /// The live sessions of Ana.
    async fn sessions(&self) -> Vec<Value> {
        let answer =
            self.service.ask(Method::GET, "/subjects/shop-1/sessions").header("Connection", "close").send().await;
        match answer.status {
            404 => Vec::new(),
            _ => answer.assert_status(200).json()["sessions"].as_array().expect("a list").clone(),
        }
    }
}

/// The secret of the old sessions.
const SECRET: &str = "an old secret of the shop, which has enough bytes";

async fn orders(browser: &Anonymous) -> Response {
    call(browser, Method::GET, "/orders").send().await
}

/// A request of a user, over a connection of its own: one that was kept would lead to a program that has ended.
fn call<'a>(browser: &'a Anonymous, method: Method, path: &str) -> Call<'a> {
    browser.call(method, path).header("X-Forwarded-For", ADDRESS).header("Connection", "close")
}

/// A browser with the same cookies: what a thief has.
fn copy(browser: &Anonymous) -> Anonymous {
    let copy = Anonymous::at(browser.browser().base());
    for pair in browser.browser().cookie_header().unwrap_or_default().split("; ") {
        let (name, value) = pair.split_once('=').expect("a cookie");
        copy.browser().set_cookie(name, value);
    }
    copy
}

/// An old credential that was used: the browser is told to forget it, and it opens nothing.
async fn opens_nothing(old: &Anonymous, name: &str) {
    let again = copy(old);
    let answer = orders(&again).await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("/orders")), "{answer}");
    assert_eq!((again.browser().cookie(name), again.browser().cookie(COOKIE)), (None, None));
    orders(&again).await.assert_problem(401, "unauthenticated");
    let answer = call(&copy(old), Method::GET, "//other.example/x").send().await;
    assert_eq!(answer.header("location"), Some("/other.example/x"), "never another host");
}

async fn moves(shop: &'static str, name: &str) {
    let mut world = World::start(shop);
    let before = world.run("before.js");
    let (ana, laptop, phone) = (world.signed_in().await, world.signed_in().await, world.signed_in().await);
    let olds = [copy(&ana), copy(&laptop), copy(&phone)];
    assert!(ana.browser().cookie(name).is_some() && world.sessions().await.is_empty());
    drop(before);

    let _after = world.run("after.js");
    let moved = orders(&ana).await;
    assert_eq!(moved.assert_status(200).json()["name"], "Ana Silva");
    assert_eq!(ana.browser().cookie(name), None, "the old one is forgotten");
    assert!(moved.set_cookies().iter().any(|line| line.starts_with(COOKIE) && line.contains("Max-Age=")), "{moved}");
    let own = copy(&ana);
    assert_eq!(orders(&own).await.assert_status(200).set_cookies(), Vec::<String>::new());
    let sessions = world.sessions().await;
    assert_eq!((sessions.len(), sessions[0]["ip"].as_str()), (1, Some(ADDRESS)), "{sessions:?}");
    opens_nothing(&olds[0], name).await;

    // A page that asks for several things at once: each is answered, now or with the new cookie; and there is one session.
    let answers = join_all((0..6).map(|_| async { orders(&copy(&phone)).await })).await;
    assert!(answers.iter().all(|answer| [200, 307].contains(&answer.status)), "{answers:?}");
    let cookies = answers.iter().filter(|answer| answer.status == 200).flat_map(Response::set_cookies);
    let mut cookies: Vec<_> = cookies.filter(|line| line.starts_with(COOKIE)).collect();
    cookies.dedup();
    assert_eq!((cookies.len(), world.sessions().await.len()), (1, 2), "{cookies:?}");
    opens_nothing(&olds[2], name).await;

    // An outage signs nobody out.
    world.server.kill();
    assert_eq!(orders(&laptop).await.assert_status(503).header("retry-after"), Some("5"));
    assert!(laptop.browser().cookie(name).is_some(), "it was not used up");
    world.server.restart();
    orders(&laptop).await.assert_status(200);
    assert_eq!((world.sessions().await.len(), laptop.browser().cookie(name)), (3, None));

    // A sign-out holds at once, and for the old one, too.
    call(&ana, Method::POST, "/sign-out").send().await.assert_status(303);
    for ended in [&ana, &own] {
        orders(ended).await.assert_problem(401, "unauthenticated");
    }
    opens_nothing(&olds[0], name).await;
    orders(&laptop).await.assert_status(200);
    assert_eq!(world.sessions().await.len(), 2);
    let again = world.signed_in().await;
    assert!(again.browser().cookie(name).is_none() && again.browser().cookie(COOKIE).is_some());
}

#[tokio::test]
async fn off_json_web_tokens() {
    moves("jwt", "token").await;
}

#[tokio::test]
async fn off_express_session() {
    moves("express-session", "connect.sid").await;
}

/// The lines of the block of changes in a page that are in the program before, or after, the move.
fn program(page: &str, sign: char) -> String {
    let (_, rest) = page.split_once("```diff\n").expect("a block of changes");
    let lines = rest.split_once("```").expect("its end").0.lines();
    lines.filter_map(|line| line.strip_prefix([' ', sign])).map(|line| format!("{line}\n")).collect()
}

#[test]
fn each_page_shows_its_programs() {
    for (name, kind) in [("jwt", "js"), ("express-session", "js"), ("actix-session", "rs")] {
        let read = |path: String| fs::read_to_string(Path::new(HERE).join(path)).expect("a file");
        let page = read(format!("docs/moving/{name}.md"));
        for (sign, when) in [('-', "before"), ('+', "after")] {
            let path = format!("examples/moving/{name}/{when}.{kind}");
            assert_eq!(program(&page, sign), read(path), "docs/moving/{name}.md: {when}");
        }
    }
}
