//! Back ends in other languages: what `tests/run` has put into `target/tmp/clients`, with the clients and the examples of
//! this repository.
//!
//! Owns the processes that it started, by their id, and the folders that they run in. Must never pass without the programs.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::gateway::nginx_with;
use super::ports::free_port;
use super::wait::until_found;

const TOOLS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/clients");
const HERE: &str = env!("CARGO_MANIFEST_DIR");
const SHOWN: &str = include_str!("../../docs/services.md");
const PATIENCE: Duration = Duration::from_secs(30);

/// The language of a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `clients/node`, `examples/express-shop`.
    Node,
    /// `clients/python`, `examples/fastapi-page`.
    Python,
}

/// A client, its contract and an example in a folder where their language finds what they import.
pub struct Workshop {
    language: Language,
    folder: TempDir,
}

impl Workshop {
    /// Copies of what there is in this repository.
    pub fn new(language: Language) -> Self {
        assert!(
            tool("tsc").exists() && python("uvicorn").exists(),
            "what back ends are made of is not there: `tests/run` fetches it into {TOOLS}"
        );
        let folder = TempDir::new_in(TOOLS).expect("a folder");
        let (client, example) = match language {
            Language::Node => ("clients/node", "examples/express-shop"),
            Language::Python => ("clients/python", "examples/fastapi-page"),
        };
        copy(&Path::new(HERE).join(client), &folder.path().join("client"));
        copy(&Path::new(HERE).join(example), &folder.path().join("example"));
        // Node looks for modules in the folders above.
        fs::create_dir(folder.path().join("node_modules")).expect("a folder can be made");
        let installed = folder.path().join("node_modules/sessiond-client");
        std::os::unix::fs::symlink("../client", installed).expect("a link can be made");
        Self { language, folder }
    }

    /// Where the client is.
    pub fn client(&self) -> PathBuf {
        self.folder.path().join("client")
    }

    /// What runs the vectors of the contract.
    pub fn contract(&self) -> Command {
        let mut command = self.interpreter();
        let script = if self.language == Language::Node { "contract.js" } else { "contract.py" };
        command.arg(self.client().join(script)).arg(Path::new(HERE).join("clients/contract.json"));
        command
    }

    /// The example, on this port.
    fn example(&self, port: u16) -> Command {
        let (port, mut command) = (port.to_string(), self.interpreter());
        match self.language {
            Language::Node => command.args(["app.js", &port]),
            Language::Python => command.args(["-m", "uvicorn", "page:app", "--port", &port]),
        };
        command.current_dir(self.folder.path().join("example"));
        command
    }

    fn interpreter(&self) -> Command {
        let mut command = Command::new(if self.language == Language::Node { "node".into() } else { python("python") });
        command.env("PYTHONPATH", self.client()).stderr(Stdio::inherit());
        command
    }
}

/// One of the examples, beside sessiond under one host.
pub struct BackEnd {
    _workshop: Workshop,
    children: Vec<Child>,
    _folder: TempDir,
    /// `http://localhost:port` of both.
    pub site: String,
}

impl BackEnd {
    /// A port for the host: sessiond must know its origin before it starts.
    pub fn port() -> u16 {
        free_port()
    }

    /// Starts the example and, on this port, a proxy with the lines that docs/services.md shows.
    pub fn start(language: Language, port: u16, sessiond: &str, variables: &[(&str, &str)]) -> Self {
        let (workshop, own, folder) = (Workshop::new(language), free_port(), TempDir::new().expect("a folder"));
        let mut command = workshop.example(own);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        let example = command.spawn().unwrap_or_else(|error| panic!("{language:?} does not start: {error}"));
        let shown = SHOWN.split_once("```nginx\n").and_then(|(_, rest)| rest.split_once("```"));
        let lines = shown.expect("docs/services.md shows lines for nginx").0;
        let lines = lines.replace("127.0.0.1:3000", &format!("127.0.0.1:{own}")).replace("127.0.0.1:8080", sessiond);
        let listens = format!("listen 127.0.0.1:{port};");
        assert!(lines.contains("listen 443 ssl;"), "{lines}");
        let proxy = nginx_with(&folder, &lines.replace("listen 443 ssl;", &listens));
        let site = format!("http://localhost:{port}");
        let back_end = Self { _workshop: workshop, children: vec![example, proxy], _folder: folder, site };
        for port in [own, port] {
            let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(());
            until_found("a back end listens", PATIENCE, listens);
        }
        back_end
    }
}

impl Drop for BackEnd {
    fn drop(&mut self) {
        // Nothing can be done about an error here.
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program of Node's.
pub fn tool(name: &str) -> PathBuf {
    Path::new(TOOLS).join("node_modules/.bin").join(name)
}

/// A program of Python's.
pub fn python(name: &str) -> PathBuf {
    Path::new(TOOLS).join("python/bin").join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder of this repository") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        // What a developer has installed there is not ours.
        if entry.file_name() == "node_modules" {
            continue;
        }
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a file can be copied");
        }
    }
}
