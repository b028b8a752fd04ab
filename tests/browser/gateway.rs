//! Real gateways in front of sessiond and an application: nginx and Caddy, with the lines that the README shows.
//!
//! Owns the processes that it started, by their id. Must never have a line of its own about sessions: only addresses, logs,
//! and one page that always refuses.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::application::Application;
use crate::support::ports::free_port;
use crate::support::server::{Backend, Stores, TestServer};
use crate::support::wait::until_found;

const README: &str = include_str!("../../README.md");
const PATIENCE: Duration = Duration::from_secs(20);

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks `/bounce` itself, because it cannot encode an address.
    Nginx,
    /// Passes the answer of `/auth/forward?redirect` on.
    Caddy,
}

/// A gateway, what it guards, and what it asks.
pub struct Gateway {
    process: Child,
    folder: TempDir,
    port: u16,
    /// At `/sessiond` of the gateway.
    _sessiond: TestServer,
    /// What it guards.
    pub application: Application,
}

impl Gateway {
    /// Starts all three.
    pub async fn start(kind: Kind) -> Self {
        for _ in 0..5 {
            if let Some(gateway) = Self::try_start(kind).await {
                return gateway;
            }
        }
        panic!("{kind:?} does not start: run tests/run, which installs it or says what to install");
    }

    /// What a person would type.
    pub fn site(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// How often the gateway was asked for an address that begins like this.
    pub fn asked(&self, beginning: &str) -> usize {
        let written = [format!("\"GET {beginning}"), format!("\"uri\":\"{beginning}")];
        let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        log.lines().filter(|line| written.iter().any(|part| line.contains(part))).count()
    }

    async fn try_start(kind: Kind) -> Option<Self> {
        let (port, application) = (free_port(), Application::start().await);
        let origin = format!("http://localhost:{port}");
        let stores = Stores::new(Backend::Embedded);
        let settings = stores.settings().with_all(&[
            ("SESSIOND_ORIGIN", &origin),
            ("SESSIOND_BASE_PATH", "/sessiond"),
            ("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"),
            ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"),
        ]);
        let server = TestServer::on(stores, settings).await;
        let folder = TempDir::with_prefix("gateway-").expect("a folder");
        let sessiond = server.node().address().to_string();
        let guarded = format!("127.0.0.1:{}", application.port());
        let process = match kind {
            Kind::Nginx => nginx(&folder, port, &sessiond, &guarded),
            Kind::Caddy => caddy(&folder, port, &sessiond, &guarded),
        };
        let mut gateway = Self { process, folder, port, _sessiond: server, application };
        gateway.listens().then_some(gateway)
    }

    /// True once it listens; false if it ended instead, perhaps because another test has taken the port.
    fn listens(&mut self) -> bool {
        until_found("the gateway listens", PATIENCE, || {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Some(true);
            }
            matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)).then_some(false)
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It has no other process. Nothing can be done about an error here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The block of the README in this language.
fn shown(language: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let block = README.split_once(&fence).and_then(|(_, rest)| rest.split_once("```"));
    block.unwrap_or_else(|| panic!("the README shows no {language}")).0
}

fn nginx(folder: &TempDir, port: u16, sessiond: &str, guarded: &str) -> Child {
    let at = folder.path().display();
    let shown = shown("nginx");
    // One page that is never let through, as where the gateway loses the cookie.
    let loses = "location = /loses { internal; proxy_set_header Cookie \"\"; proxy_pass http://sessiond/sessiond/auth/forward; }
        location /never { auth_request /loses; error_page 401 = @sign_in; proxy_pass http://application; }";
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
        .concat();
    let text = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
         events {{}}
         http {{
           access_log {at}/access.log; {temporary}
           upstream sessiond {{ server {sessiond}; }}
           upstream application {{ server {guarded}; }}
           server {{ listen 127.0.0.1:{port}; {shown} {loses} }}
         }}"
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, text).expect("a configuration");
    let program = if std::path::Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
    started(Command::new(program).arg("-c").arg(file).arg("-e").arg(folder.path().join("error.log")))
}

fn caddy(folder: &TempDir, port: u16, sessiond: &str, guarded: &str) -> Child {
    let at = folder.path().display();
    let loses = format!(
        "app.example.com {{
            log {{
                output file {at}/access.log
            }}
            handle /never* {{
                forward_auth sessiond:8080 {{
                    uri /sessiond/auth/forward?redirect
                    header_up -Cookie
                }}
                reverse_proxy application:3000
            }}"
    );
    let shown = shown("caddy").replace("app.example.com {", &loses);
    let shown = shown.replace("app.example.com", &format!("http://localhost:{port}"));
    let shown = shown.replace("sessiond:8080", sessiond).replace("application:3000", guarded);
    let file = folder.path().join("Caddyfile");
    fs::write(&file, format!("{{\n admin off\n}}\n{shown}")).expect("a configuration");
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file).env("HOME", folder.path());
    started(command.env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path()))
}

fn started(command: &mut Command) -> Child {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    spawned.unwrap_or_else(|error| {
        panic!("this test needs nginx and caddy ({error}): run tests/run, which installs them or says what to install")
    })
}
