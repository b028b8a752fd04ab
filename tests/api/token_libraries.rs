//! Access tokens in the hands of others: PyJWT and jose verify them with nothing but the public keys, under load, while the
//! keys are replaced and sessions end.
#![cfg(feature = "postgres")]

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::client::Anonymous;
use crate::support::process::{Process, command_line_ok};
use crate::support::requests::Requests as _;
use crate::support::server::{Backend, Stores};
use crate::support::service::{FORM, Service, token};
use crate::support::wait::until;

const TOOLS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/clients");
const GIVEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
const ISSUER: &str = "https://example.org/auth";
/// How long a library verifies, and how long the old key signs meanwhile.
const SECONDS: &str = "20";
const OVERLAP: &str = "6s";
/// The old key is published for the longest life of a token after it has signed its last one.
const PATIENCE: Duration = Duration::from_secs(100);

/// The program of a library, in a folder where Node finds its modules.
fn library(folder: &TempDir, name: &str) -> Command {
    let script = folder.path().join(name);
    std::fs::copy(Path::new(GIVEN).join(name), &script).expect("the script");
    let mut command = match name.ends_with(".py") {
        true => Command::new(format!("{TOOLS}/python/bin/python")),
        false => Command::new("node"),
    };
    command.arg(script).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn said(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "a library refuses a token: {error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {error}"))
}

async fn is_active(shop: &Service, cookie: &str) -> u16 {
    let call = shop.ask(Method::POST, "/introspect").header("Accept", "application/jwt");
    call.body(FORM, token(cookie)).send().await.status
}

/// Sessions end all the while: after the answer no node makes a token for one.
async fn end_sessions(shops: &[Service; 2], rounds: usize) {
    let [a, b] = shops;
    for round in 0..rounds {
        let subject = format!("user-{round}");
        let session = a.session_of(&subject).await;
        assert_eq!((is_active(a, &session.cookie).await, is_active(b, &session.cookie).await), (200, 200));
        a.ask(Method::DELETE, &format!("/subjects/{subject}/sessions")).send().await.assert_status(200);
        assert_eq!((is_active(b, &session.cookie).await, is_active(a, &session.cookie).await), (204, 204));
    }
}

#[tokio::test]
async fn two_libraries_verify_every_token_while_the_keys_are_replaced() {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings().with_all(&[
        ("SESSIOND_JWT_ISSUER", ISSUER),
        ("SESSIOND_JWT_AUDIENCE", "orders"),
        ("SESSIOND_JWT_LIFETIME", "10s"),
    ]);
    let nodes = [Process::start(&settings), Process::start(&settings)];
    let shop = Service::add(&settings, &nodes[0].url(), "shop", "issue,introspect,revoke");
    let shops = [Service::with(&nodes[0].url(), &shop.secret), Service::with(&nodes[1].url(), &shop.secret)];
    let cookie = shop.session_of("user-1").await.cookie.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    let keys = async |node: &Process| {
        let answer = Anonymous::at(&node.url()).get("/.well-known/jwks.json").await;
        if answer.status == 200 { answer.json()["keys"].as_array().map_or(0, Vec::len) } else { 0 }
    };
    let all_have = async |number| keys(&nodes[0]).await == number && keys(&nodes[1]).await == number;
    until("there are keys", PATIENCE, async || keys(&nodes[0]).await > 0 && keys(&nodes[1]).await > 0).await;
    let folder = TempDir::new_in(TOOLS).expect("`tests/run` fetches these libraries");
    let names = ["verify_tokens.py", "verify_tokens.mjs"];
    let running: Vec<_> = names
        .into_iter()
        .zip(&nodes)
        .map(|(name, node)| {
            let mut command = library(&folder, name);
            command.args(["verify", &node.url(), ISSUER, &shop.secret, &cookie, SECONDS]);
            command.spawn().expect("the program runs")
        })
        .collect();
    end_sessions(&shops, 20).await;
    command_line_ok(&settings, &["keys", "rotate", "--overlap", OVERLAP], "");
    end_sessions(&shops, 20).await;
    let mut first = Vec::new();
    for child in running {
        let told = said(&child.wait_with_output().await.expect("it ends"));
        println!("{} tokens verified, with {} keys", told["verified"], told["kids"].as_array().map_or(0, Vec::len));
        assert!(told["verified"].as_u64() > Some(50), "{told}");
        assert!(told["kids"].as_array().is_some_and(|kids| kids.len() == 2), "the old key, then the new one: {told}");
        first.push(told["first"].as_str().expect("a token").to_owned());
    }
    until("the old key is withdrawn", PATIENCE, async || all_have(1).await).await;
    for (name, (node, first)) in names.into_iter().zip(nodes.iter().zip(&first)) {
        let mut command = library(&folder, name);
        let output = command.args(["refuse", &node.url(), ISSUER, first]).output().await.expect("the program runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
