//! Programs as they are: clients whose headers are no text, service managers' signals, and standard streams that nobody
//! reads.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::{Anonymous, PASSWORD, new_email};
use crate::support::ports::free_port;
use crate::support::process::{Process, signal};
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores, on_each_backend};
use crate::support::settings::Settings;
use crate::support::wait::{until, until_found};

const PATIENCE: Duration = Duration::from_secs(20);

on_each_backend! {
    /// A device's name comes in any encoding: one byte of it hides nothing of the rest.
    async fn a_device_is_known_whatever_bytes_its_name_has(server: TestServer) {
        for name in [&b"SM-\xe9"[..], b"\xff\xfe", "Zo\u{eb}\u{1f600}".as_bytes(), b"\xc3"] {
            let (visitor, email) = (server.anonymous(), new_email());
            visitor.register(&email).await.assert_status(201);
            let agent = [&b"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0 "[..], name].concat();
            let body = json!({ "email": email, "password": PASSWORD });
            let login = visitor.change(Method::POST, "/login").header_of_bytes("User-Agent", &agent).json(&body).send().await;
            let owner = visitor.into_signed_in(&email, PASSWORD, login.assert_status(200));
            let listed = owner.get("/sessions").await.json();
            assert_eq!(listed["sessions"][0]["device"]["browser"], json!("Firefox"), "{name:?}: {listed}");
            // The same device, at every route: nothing has changed.
            for path in ["/me", "/auth/forward"] {
                owner.call(Method::GET, path).header_of_bytes("User-Agent", &agent).send().await.assert_status(200);
            }
            let changed = format!("event = 'session_device_changed' AND user_id = '{}'", owner.user_id);
            assert_eq!(server.stores.database.count("audit", &changed), 0, "{name:?}");
        }
    }
}

/// A request that has begun, whose end is held back.
struct Begun {
    stream: TcpStream,
    rest: String,
}

impl Begun {
    async fn at(address: &str) -> Self {
        let body = json!({ "email": new_email(), "password": PASSWORD }).to_string();
        let (first, rest) = body.split_at(10);
        let head = format!(
            "POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{first}",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.expect("the server accepts");
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        Self { stream, rest: rest.to_owned() }
    }

    async fn status(mut self) -> String {
        self.stream.write_all(self.rest.as_bytes()).await.expect("the connection is open");
        let mut answer = String::new();
        let _ = self.stream.read_to_string(&mut answer).await;
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

/// What asks a program to stop lets it answer first, whichever signal it is.
#[tokio::test]
async fn every_signal_to_stop_lets_requests_under_way_be_answered() {
    for name in ["QUIT", "TERM", "INT"] {
        let stores = Stores::new(Backend::Embedded);
        let mut process = Process::start(&stores.settings());
        let begun = Begun::at(process.address()).await;
        // The head has been read by then: a request that has not begun is none under way.
        tokio::time::sleep(Duration::from_millis(200)).await;
        signal(name, process.pid());
        until("it stops", PATIENCE, async || process.output().contains("stopping when open requests")).await;
        assert_eq!(begun.status().await, "HTTP/1.1 201 Created", "SIG{name}");
        let status = process.wait_for_end().expect("it ends");
        assert!(status.success(), "SIG{name}: {status}: {}", process.output());
    }
}

/// SIGHUP asks others to read their settings again, or comes from a terminal that is closed: here there is none. SIGUSR1 and
/// SIGUSR2 ask others for another log file, or for numbers.
#[tokio::test]
async fn a_signal_that_means_nothing_here_changes_nothing() {
    let stores = Stores::new(Backend::Embedded);
    let mut process = Process::start(&stores.settings());
    // It listens before its stores are open, and before it minds signals.
    process.anonymous().get("/health/ready").await.assert_status(200);
    let begun = Begun::at(process.address()).await;
    for name in ["HUP", "USR1", "USR2"] {
        signal(name, process.pid());
        let told = format!("SIG{name} has no effect");
        until_found("it is told, or has ended", PATIENCE, || {
            (process.output().contains(&told) || process.has_ended()).then_some(())
        });
        assert!(!process.has_ended(), "SIG{name} ends it");
    }
    assert_eq!(begun.status().await, "HTTP/1.1 201 Created");
    process.anonymous().sign_up().await;
    assert!(process.terminate(), "{}", process.output());
}

/// The program with these standard streams, at a port of its own.
struct Bare {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Bare {
    fn start(settings: &Settings, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let folder = TempDir::with_prefix("sessiond-").expect("a folder");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new(env!("CARGO_BIN_EXE_sessiond"))
            .env_clear()
            .envs(settings.clone().with("SESSIOND_LISTEN", &address.to_string()).pairs())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("the program was built with the tests");
        Self { child, address, _folder: folder }
    }

    async fn serves(&self) -> Anonymous {
        let anonymous = Anonymous::at(&format!("http://{}", self.address));
        until("it serves", PATIENCE, async || anonymous.call(Method::GET, "/health/live").try_send().await.is_ok())
            .await;
        anonymous
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nobody who could read what it says keeps anybody from being served.
#[tokio::test]
async fn it_serves_whatever_becomes_of_what_it_says() {
    let full = || File::options().write(true).open("/dev/full").expect("a device that is always full");
    let gone = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(OwnedFd::from(writer))
    };
    let rows: [(&str, Stdio, Stdio); 4] = [
        ("standard output full", full().into(), Stdio::null()),
        ("standard output without a reader", gone(), Stdio::null()),
        ("both full", full().into(), full().into()),
        ("both without a reader", gone(), gone()),
    ];
    for (what, stdout, stderr) in rows {
        let stores = Stores::new(Backend::Embedded);
        let program = Bare::start(&stores.settings().with("RUST_LOG", "debug"), stdout, stderr);
        let owner = program.serves().await.sign_up().await;
        owner.me().await.assert_status(200);
        println!("{what}: served");
    }
    let stores = Stores::new(Backend::Embedded);
    let closed = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec {} migrate >&- 2>&-", env!("CARGO_BIN_EXE_sessiond")))
        .env_clear()
        .envs(stores.settings().pairs())
        .status();
    assert!(closed.expect("a shell").success(), "closed streams are no fault of a command");
}

/// A log that is not read, as by a pipe to a program that hangs, keeps nobody waiting and nobody from stopping.
#[tokio::test]
async fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let stores = Stores::new(Backend::Embedded);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut filled = File::from(OwnedFd::from(writer.try_clone().expect("a second handle")));
    let settings = stores.settings().with("RUST_LOG", "trace");
    let mut program = Bare::start(&settings, Stdio::null(), Stdio::from(OwnedFd::from(writer)));
    let owner = program.serves().await.sign_up().await;
    // Not a byte more fits: filled to the brim by somebody else, as its own log would in time.
    let filling = std::thread::spawn(move || while std::io::Write::write(&mut filled, &[b'x'; 65_536]).is_ok() {});
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!filling.is_finished(), "the pipe is full, and the writer waits");
    for _ in 0..20 {
        owner.change(Method::POST, "/login").json(&json!({ "email": owner.email, "password": "x" })).send().await;
        owner.me().await.assert_status(200);
    }
    signal("TERM", program.child.id());
    until("it ends", PATIENCE, async || {
        std::fs::read_to_string(format!("/proc/{}/stat", program.child.id())).is_ok_and(|stat| stat.contains(") Z "))
    })
    .await;
    assert!(program.child.wait().expect("own process").success());
    drop(reader);
    let _ = filling.join();
}
