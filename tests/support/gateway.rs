//! Real gateways in front of sessiond and an application: nginx, Caddy and HAProxy, with the lines that docs/gateways.md
//! shows.
//!
//! Owns the processes that it started, by their id. Must never have a line of its own about sessions: only addresses, logs,
//! and one page that always refuses.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::ports::free_port;
use super::process::Process;
use super::server::{Backend, Stores};
use super::wait::until_found;

const SHOWN: &str = include_str!("../../docs/gateways.md");
const PATIENCE: Duration = Duration::from_secs(20);

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks `/bounce` itself, because it cannot encode an address.
    Nginx,
    /// Passes the answer of `/auth/forward?redirect` on.
    Caddy,
    /// Asks by a script.
    HaProxy,
}

/// A gateway, what it guards, and what it asks.
pub struct Gateway {
    process: Child,
    folder: TempDir,
    port: u16,
    /// Speaks HTTP/2 there, without TLS, where the program can.
    pub http2_port: u16,
    /// At `/sessiond` of the gateway.
    pub sessiond: Process,
    /// What that remembers with.
    pub stores: Stores,
}

impl Gateway {
    /// Starts sessiond and a gateway in front of it and of an application on this port.
    pub fn start(kind: Kind, application: u16) -> Self {
        for _ in 0..5 {
            if let Some(gateway) = Self::try_start(kind, application) {
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

    fn try_start(kind: Kind, application: u16) -> Option<Self> {
        let (port, http2_port) = (free_port(), free_port());
        // The last one is what a gateway tells that knows no port.
        let origin = format!("http://localhost:{port},http://localhost:{http2_port},http://localhost");
        let stores = Stores::new(Backend::Embedded);
        let settings = stores.settings().with_all(&[
            ("SESSIOND_ORIGIN", &origin),
            ("SESSIOND_BASE_PATH", "/sessiond"),
            ("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"),
            ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"),
        ]);
        let server = Process::start(&settings);
        let folder = TempDir::with_prefix("gateway-").expect("a folder");
        let sessiond = server.address().to_owned();
        let guarded = format!("127.0.0.1:{application}");
        let lines = |language| {
            let lines = shown(language).replace("sessiond:8080", &sessiond).replace("127.0.0.1:8080", &sessiond);
            lines.replace("application:3000", &guarded)
        };
        let process = match kind {
            Kind::Nginx => nginx(&folder, port, http2_port, &lines("nginx")),
            Kind::Caddy => caddy(&folder, port, &lines("caddy")),
            Kind::HaProxy => haproxy(&folder, port, http2_port, &lines("haproxy"), &lines("lua")),
        };
        let mut gateway = Self { process, folder, port, http2_port, sessiond: server, stores };
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

/// The block in this language.
fn shown(language: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let block = SHOWN.split_once(&fence).and_then(|(_, rest)| rest.split_once("```"));
    block.unwrap_or_else(|| panic!("docs/gateways.md shows no {language}")).0
}

/// The text with this part, which must be there, in another's place.
fn with(text: &str, part: &str, instead: &str) -> String {
    assert_eq!(text.matches(part).count(), 1, "{part:?} in {text}");
    text.replace(part, instead)
}

fn nginx(folder: &TempDir, port: u16, http2_port: u16, lines: &str) -> Child {
    // One page that is never let through, as where the gateway loses the cookie.
    let loses = "location = /loses { internal; proxy_set_header Cookie \"\"; proxy_pass http://sessiond/sessiond/auth/forward; }
        location /never { auth_request /loses; error_page 401 = @sign_in; proxy_pass http://application; }";
    let listens = format!("listen 127.0.0.1:{port}; listen 127.0.0.1:{http2_port} http2; {loses}");
    let lines = with(lines, "listen                  443 ssl;", &listens);
    let lines = with(&lines, "server_name             app.example.com;", "server_name localhost;");
    nginx_with(folder, &lines)
}

/// nginx with these lines about hosts.
pub fn nginx_with(folder: &TempDir, lines: &str) -> Child {
    let at = folder.path().display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
        .concat();
    let text = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
         events {{}}
         http {{ access_log {at}/access.log; {temporary} {lines} }}"
    );
    let file = written(folder, "nginx.conf", &text);
    started(system_program("nginx").arg("-c").arg(file).arg("-e").arg(folder.path().join("error.log")))
}

fn caddy(folder: &TempDir, port: u16, lines: &str) -> Child {
    let at = folder.path().display();
    let sessiond = lines.split_once("forward_auth ").and_then(|(_, rest)| rest.split(' ').next()).expect("an address");
    let loses = format!(
        "http://localhost:{port} {{
            log {{
                output file {at}/access.log
            }}
            handle /never* {{
                forward_auth {sessiond} {{
                    uri /sessiond/auth/forward?redirect
                    header_up -Cookie
                }}
                respond never
            }}"
    );
    let lines = with(lines, "app.example.com {", &loses);
    let file = written(folder, "Caddyfile", &format!("{{\n admin off\n}}\n{lines}"));
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file).env("HOME", folder.path());
    started(command.env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path()))
}

fn haproxy(folder: &TempDir, port: u16, http2_port: u16, lines: &str, script: &str) -> Child {
    let script = written(folder, "sessiond.lua", script);
    let listens = format!("bind 127.0.0.1:{port}\n    bind 127.0.0.1:{http2_port} proto h2");
    let lines = with(lines, "bind :443 ssl crt /etc/haproxy/app.example.com.pem", &listens);
    let lines = with(&lines, "/etc/haproxy/sessiond.lua", &script.to_string_lossy());
    let file = written(folder, "haproxy.cfg", &lines);
    started(system_program("haproxy").arg("-db").arg("-f").arg(file))
}

fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let file = folder.path().join(name);
    fs::write(&file, text).expect("a configuration");
    file
}

/// Distributions keep servers out of the PATH.
fn system_program(name: &str) -> Command {
    let usual = PathBuf::from("/usr/sbin").join(name);
    if usual.exists() { Command::new(usual) } else { Command::new(name) }
}

fn started(command: &mut Command) -> Child {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    spawned.unwrap_or_else(|error| {
        panic!("this test needs nginx and caddy ({error}): run tests/run, which installs them or says what to install")
    })
}
