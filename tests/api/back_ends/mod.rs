//! The clients for back ends: the one contract of `clients/contract.json`, run by each against a real sessiond in each
//! state, and against a server that only plays one.
//!
//! The clients answer requests and tell what they answered; here is judged. Only a server that is broken is played.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::back_end::{Language, Workshop, python, tool};
use crate::support::played::{Answer, Then, play};

mod states;

const CONTRACT: &str = include_str!("../../../clients/contract.json");
const PATIENCE: Duration = Duration::from_secs(90);

/// Seconds that a client waits. Long: a machine that is busy answers the live ones, too.
const TIME_LIMIT: u32 = 5;

/// The vectors of the contract, numbered from 0.
fn vectors() -> Vec<Value> {
    let contract: Value = serde_json::from_str(CONTRACT).expect("the contract is JSON");
    contract["vectors"].as_array().expect("vectors").clone()
}

/// A client that runs the contract.
struct Runner {
    faces: &'static [&'static str],
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
    _workshop: Workshop,
}

impl Runner {
    fn start(language: Language) -> Self {
        let workshop = Workshop::new(language);
        let mut command = Command::from(workshop.contract());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the client runs");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let faces: &[&str] = match language {
            Language::Node => &["fetch", "http", "express"],
            Language::Python => &["check", "asgi", "websocket", "fastapi"],
        };
        Self { faces, input, output: BufReader::new(output).lines(), _child: child, _workshop: workshop }
    }

    async fn tell(&mut self, mut command: Value) {
        command["time_limit"] = json!(TIME_LIMIT);
        self.input.write_all(format!("{command}\n").as_bytes()).await.expect("the client reads");
    }

    async fn told(&mut self) -> Value {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("the client answers within its time limit");
        let line = line.expect("text").expect("the client goes on");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Makes a call; gives its result, or its error.
    #[cfg(feature = "postgres")]
    async fn call(&mut self, at: &At<'_>, call: &str, with: &[Value]) -> Value {
        self.tell(json!({ "call": call, "with": with, "url": at.url, "secret": at.secret })).await;
        self.told().await
    }

    /// Runs the vectors of a state; panics unless each way to use the client has the outcome of each of them.
    async fn assert(&mut self, state: &str, at: &At<'_>, cookies: [&str; 2]) {
        let [session, other] = cookies;
        let decoded = session.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
        let command = json!({
            "state": state, "url": at.url, "secret": at.secret, "session": session, "decoded": decoded, "other": other,
        });
        self.tell(command).await;
        let mut told = BTreeMap::new();
        loop {
            let line = self.told().await;
            if line["done"] == state {
                break;
            }
            let text = |of: &str| line[of].as_str().unwrap_or_default().to_owned();
            assert!(told.insert((text("name"), text("face")), line.clone()).is_none(), "{line} comes twice");
        }
        let expected: Vec<_> = vectors().into_iter().filter(|vector| vector["state"] == state).collect();
        assert!(!expected.is_empty() && told.len() == expected.len() * self.faces.len(), "{state}: {told:?}");
        let mut wrong = Vec::new();
        for (vector, face) in expected.iter().flat_map(|vector| self.faces.iter().map(move |face| (vector, face))) {
            let name = vector["name"].as_str().expect("a name");
            let line = told.get(&(name.to_owned(), (*face).to_owned()));
            if !line.is_some_and(|line| keeps(vector, line)) {
                wrong.push(format!("{state}: {name}: {face}: {line:?} is not {}", vector["outcome"]));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// Whether this is the outcome; who is told to come again is told when, and nobody else.
fn keeps(vector: &Value, line: &Value) -> bool {
    let retry_after = line["retry_after"].as_u64();
    let waits = match vector["retry_after"].as_u64() {
        None if vector["outcome"] == "unavailable" => retry_after.is_some_and(|seconds| seconds > 0),
        expected => retry_after == expected,
    };
    waits && line["outcome"] == vector["outcome"]
}

/// Where a client asks, and with which secret.
struct At<'a> {
    url: &'a str,
    secret: &'a str,
}

async fn knows_what_is_no_answer(language: Language) {
    let no = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"active\":false}";
    let no = Answer { bytes: no.into(), then: Then::Close };
    let url = play(|url| vectors().iter().map(|vector| played(vector, url)).collect(), no).await;
    let secret = "sd_svc_played";
    Runner::start(language).assert("played", &At { url: &url, secret }, ["", ""]).await;
}

fn played(vector: &Value, url: &str) -> Answer {
    let text = vector["answer"].as_str().unwrap_or_default();
    let text = text.replace("{long}", &" ".repeat(100_000)).replace("{no}", &format!("{url}/no"));
    let byte = |letter: char| u8::try_from(letter).expect("a character of an answer is one byte");
    let then = match vector["then"].as_str() {
        None | Some("close") => Then::Close,
        Some("hang") => Then::Hang,
        Some("drip") => Then::Drip,
        Some(other) => panic!("{other} is no end"),
    };
    Answer { bytes: text.chars().map(byte).collect(), then }
}

#[tokio::test]
async fn node_knows_what_is_no_answer() {
    knows_what_is_no_answer(Language::Node).await;
}

#[tokio::test]
async fn python_knows_what_is_no_answer() {
    knows_what_is_no_answer(Language::Python).await;
}

/// Runs a program in a folder; panics with what it says unless it is content.
async fn content(program: &Path, arguments: &[&str], folder: &Path) {
    let output = Command::new(program).args(arguments).current_dir(folder).output().await.expect("the program runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{}: {said}", program.display());
}

#[tokio::test]
async fn the_types_of_both_hold_and_refuse_what_is_wrong() {
    let node = Workshop::new(Language::Node);
    std::fs::copy(given("node_types.ts"), node.client().join("node_types.ts")).expect("a file can be copied");
    content(&tool("tsc"), &["-p", "."], &node.client()).await;
    let settings = ["--strict", "--module", "nodenext", "--noEmit", "--types", "node", "node_types.ts"];
    content(&tool("tsc"), &settings, &node.client()).await;
    let page = Workshop::new(Language::Python);
    std::fs::copy(given("python_types.py"), page.client().join("python_types.py")).expect("a file can be copied");
    let checked = ["--strict", "sessiond_client", "contract.py", "python_types.py", "../example/page.py"];
    content(&python("mypy"), &checked, &page.client()).await;
}

fn given(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn each_client_is_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let node = std::fs::read_to_string(root.join("node/index.js")).expect("the client for Node");
    let comment = |line: &&str| ["//", "/**", "*"].iter().any(|begin| line.starts_with(begin));
    let lines = node.lines().map(str::trim).filter(|line| !line.is_empty() && !comment(line)).count();
    assert!(lines <= 200, "the client for Node has {lines} lines");
    let mut lines = 0;
    for entry in std::fs::read_dir(root.join("python/sessiond_client")).expect("the client for Python") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "py") {
            let text = std::fs::read_to_string(path).expect("a module");
            // Every other piece is between quotes: documentation.
            let code: String = text.split("\"\"\"").step_by(2).collect();
            lines += code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        }
    }
    assert!(lines > 100 && lines <= 200, "the client for Python has {lines} lines");
}
