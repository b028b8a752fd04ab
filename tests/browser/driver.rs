//! A private chromedriver, on a port and in a folder of its own.
//!
//! Owns the processes that it started, by their id: when it is dropped, it quits its browsers, then itself.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::ClientBuilder;
use fantoccini::wd::Capabilities;
use hyper_util::client::legacy::connect::HttpConnector;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::window::Window;
use crate::support::wait::until_found;

const PATIENCE: Duration = Duration::from_secs(20);
const STARTED: &str = "ChromeDriver was started successfully on port ";

/// A running chromedriver with its browsers.
pub struct Driver {
    process: Child,
    port: u16,
    browsers: Mutex<Vec<u32>>,
    folder: TempDir,
}

impl Driver {
    /// Starts one; the system chooses the port.
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("chromium-").expect("a folder for the browser");
        let log = folder.path().join("chromedriver.log");
        let process = Command::new("chromedriver")
            .arg("--port=0")
            // Everything that the browser writes of its own accord goes there, too.
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(&log).expect("a log file"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("this test needs chromedriver ({error}): run tests/run, which installs it or says what to install")
            });
        let mut driver = Self { process, port: 0, browsers: Mutex::default(), folder };
        driver.port = until_found("chromedriver listens", PATIENCE, || {
            let said = fs::read_to_string(&log).ok()?;
            said.split_once(STARTED)?.1.split_once(['.', '\n'])?.0.parse().ok()
        });
        driver
    }

    /// A new browser with a profile of its own: what another person, or another device, would have.
    pub async fn window(&self) -> Window {
        self.window_with(json!({})).await
    }

    /// The same, with preferences of the browser's that somebody has set.
    pub async fn window_with(&self, preferences: Value) -> Window {
        let profile = TempDir::with_prefix_in("profile-", self.folder.path()).expect("a folder for a profile");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(&profile.keep().to_string_lossy(), &preferences));
        let client = builder.connect(&format!("http://127.0.0.1:{}", self.port)).await.unwrap_or_else(|error| {
            panic!("Chromium does not start ({error}): run tests/run, which installs it or says what to install")
        });
        let pid = client.capabilities().and_then(|known| known.get("goog:processID")).and_then(Value::as_u64);
        let pid = pid.and_then(|pid| u32::try_from(pid).ok()).expect("chromedriver tells the browser's process id");
        self.browsers.lock().push(pid);
        Window::new(client)
    }

    /// Asks it to quit its browsers and to end, and waits for that.
    fn quits(&mut self) -> bool {
        let asked = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            stream.read_to_end(&mut Vec::new())
        });
        asked.is_ok() && (0..100).any(|_| self.has_ended())
    }

    fn has_ended(&mut self) -> bool {
        let ended = matches!(self.process.try_wait(), Ok(Some(_)));
        if !ended {
            std::thread::sleep(Duration::from_millis(20));
        }
        ended
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.port != 0 && self.quits() {
            return;
        }
        // It would leave its browsers behind. Nothing can be done about an error here.
        for pid in self.browsers.lock().iter() {
            let _ = Command::new("sh").arg("-c").arg(format!("kill -KILL {pid}")).stderr(Stdio::null()).status();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn capabilities(profile: &str, preferences: &Value) -> Capabilities {
    let profile = format!("--user-data-dir={profile}");
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
        &profile,
    ];
    let wanted = json!({
        "goog:chromeOptions": { "args": arguments, "prefs": preferences },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    wanted.as_object().cloned().expect("an object")
}
