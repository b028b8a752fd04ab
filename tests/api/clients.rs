//! The OpenAPI document in the hands of others: two judge whether it is valid, and two make clients of it, which are used.
//!
//! Owns the programs that `tests/run` has put into `target/tmp/clients`; what they are given is in `tests/clients`. Must never
//! pass without them.

use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::client::PASSWORD;
use crate::support::requests::Requests as _;
use crate::support::server::{Backend, TestServer};

const TOOLS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/clients");
const GIVEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// A server, and its document in a folder of its own: below the tools, where TypeScript finds its modules.
struct Described {
    server: TestServer,
    folder: TempDir,
}

impl Described {
    async fn start() -> Self {
        assert!(
            Path::new(TOOLS).join("python/bin/openapi-python-client").exists() && tool("redocly").exists(),
            "what is made of the OpenAPI document is not there: `tests/run` fetches it into {TOOLS}"
        );
        let server = TestServer::start(Backend::Embedded).await;
        let folder = TempDir::new_in(TOOLS).expect("a folder");
        let document = server.anonymous().get("/openapi.json").await.assert_status(200).text();
        std::fs::write(folder.path().join("openapi.json"), document).expect("the document can be written");
        Self { server, folder }
    }

    fn document(&self) -> PathBuf {
        self.folder.path().join("openapi.json")
    }

    /// Runs a program in the folder; panics with what it says unless it is content.
    async fn run(&self, program: PathBuf, arguments: &[&str]) {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(self.folder.path()).kill_on_drop(true);
        // One tool asks whether there is a newer one, another one tells its maker that it ran.
        command.env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true").env("REDOCLY_TELEMETRY", "off");
        let Output { status, stdout, stderr } = command.output().await.expect("the program runs");
        // Some repeat the whole document.
        let said: String = String::from_utf8_lossy(&[stdout, stderr].concat()).chars().take(4_000).collect();
        assert!(status.success(), "{} is not content with /openapi.json:\n{said}", program.display());
    }
}

fn tool(name: &str) -> PathBuf {
    Path::new(TOOLS).join("node_modules/.bin").join(name)
}

fn python(name: &str) -> PathBuf {
    Path::new(TOOLS).join("python/bin").join(name)
}

fn given(name: &str) -> String {
    format!("{GIVEN}/{name}")
}

#[tokio::test]
async fn two_validators_find_nothing_wrong_with_the_document() {
    let described = Described::start().await;
    described.run(python("openapi-spec-validator"), &["openapi.json"]).await;
    described.run(tool("redocly"), &["lint", "--config", &given("redocly.yaml"), "openapi.json"]).await;
}

#[tokio::test]
async fn a_typescript_client_compiles_and_refuses_what_is_wrong() {
    let described = Described::start().await;
    described.run(tool("openapi-typescript"), &["openapi.json", "--output", "schema.d.ts"]).await;
    for name in ["calls.ts", "tsconfig.json"] {
        std::fs::copy(given(name), described.folder.path().join(name)).expect("a file can be copied");
    }
    described.run(tool("tsc"), &[]).await;
}

#[tokio::test]
async fn a_python_client_walks_through_what_the_readme_does_and_what_administrators_do() {
    let described = Described::start().await;
    let generate =
        ["generate", "--fail-on-warning", "--meta", "none", "--output-path", "client", "--path", "openapi.json"];
    // Nobody reads what is made here: it need not look well.
    std::fs::write(described.folder.path().join("plain.yaml"), "post_hooks: []\n").expect("a setting can be written");
    described.run(python("openapi-python-client"), &[&generate[..], &["--config", "plain.yaml"]].concat()).await;
    let admin = described.server.admin().await;
    let script = described.folder.path().join("walk_through.py");
    // Where it lies, Python looks for the client.
    std::fs::copy(given("walk_through.py"), &script).expect("the script can be copied");
    let (document, url) = (described.document(), described.server.url());
    let arguments = [&script, &document].map(|path| path.to_str().expect("a path in UTF-8"));
    described.run(python("python"), &[&arguments[..], &[&url, &admin.person().email, PASSWORD]].concat()).await;
}
