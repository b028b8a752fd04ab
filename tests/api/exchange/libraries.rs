//! Tokens that PyJWT and jose have made, with keys of theirs, and what an attacker makes of a public key.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::old_tokens::{claims, exchange, exchanges};
use crate::support::process::{Process, command_line};
use crate::support::server::{Backend, Stores};

const TOOLS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/clients");
const GIVEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
const SECRET: &str = "SESSIOND_EXCHANGE_SECRET_FILE";
const KEY: &str = "SESSIOND_EXCHANGE_KEY_FILE";

/// What one of the two libraries has written.
struct Made(TempDir);

impl Made {
    fn by(program: &str, script: &str) -> Self {
        let program = if program == "node" { program.to_owned() } else { format!("{TOOLS}/{program}") };
        // Below the tools, where Node finds its modules.
        let folder = TempDir::new_in(TOOLS).expect("`tests/run` fetches what makes these tokens");
        let script_here = folder.path().join(script);
        std::fs::copy(format!("{GIVEN}/{script}"), &script_here).expect("the script");
        let mut command = Command::new(program);
        let output = command.arg(script_here).arg(folder.path()).arg(claims("user-1").to_string()).output();
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        Self(folder)
    }

    fn pyjwt() -> Self {
        Self::by("python/bin/python", "old_tokens.py")
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn token(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// The statuses of these tokens at a server that verifies with this file.
async fn statuses(variable: &str, file: &Path, tokens: &[String]) -> Vec<u16> {
    let stores = Stores::new(Backend::Embedded);
    let server = Process::start(&exchanges(stores.settings(), variable, file));
    let mut found = Vec::new();
    for token in tokens {
        found.push(exchange(&server.url(), token).await.1.status);
    }
    found
}

async fn accepts_all(made: &Made) {
    assert_eq!(statuses(SECRET, &made.path("HS256.secret"), &[made.token("HS256.jwt")]).await, [200]);
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = made.token(&format!("{algorithm}.jwt"));
        let file = made.path(&format!("{algorithm}.pem"));
        assert_eq!(statuses(KEY, &file, &[token]).await, [200], "{algorithm}");
    }
    // All have the same jti: each has a server of its own.
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let named = made.token(&format!("{algorithm}.named.jwt"));
        let nameless = made.token(&format!("{algorithm}.jwt"));
        let found = statuses(KEY, &made.path("set.json"), &[nameless, named]).await;
        assert_eq!(found, [401, 200], "{algorithm}: a token names its key where there are several");
    }
}

#[tokio::test]
async fn each_algorithm_of_pyjwt_is_accepted() {
    accepts_all(&Made::pyjwt()).await;
}

#[tokio::test]
async fn each_algorithm_of_jose_is_accepted() {
    accepts_all(&Made::by("node", "old_tokens.mjs")).await;
}

#[tokio::test]
async fn a_public_key_is_no_secret_and_a_name_is_no_signature() {
    let made = Made::pyjwt();
    let tokens = |names: &[&str]| names.iter().map(|name| made.token(name)).collect::<Vec<_>>();
    let alone =
        ["confused.0.jwt", "confused.1.jwt", "wrong.RS256.jwt", "RS384.jwt", "PS256.jwt", "none.jwt", "ES256.jwt"];
    let mut found = statuses(KEY, &made.path("RS256.pem"), &tokens(&[&alone[..], &["RS256.jwt"]].concat())).await;
    assert_eq!(found.pop(), Some(200), "the right one");
    assert_eq!(found, [401; 7]);
    let named = ["confused.named.jwt", "wrong.name.jwt", "unknown.name.jwt", "crossed.name.jwt", "confused.0.jwt"];
    let mut found = statuses(KEY, &made.path("set.json"), &tokens(&[&named[..], &["RS256.named.jwt"]].concat())).await;
    assert_eq!(found.pop(), Some(200), "the right one");
    assert_eq!(found, [401; 5]);
    assert_eq!(statuses(KEY, &made.path("RS256.pkcs1.pem"), &tokens(&["RS256.jwt"])).await, [200]);
}

#[tokio::test]
async fn a_key_that_protects_nothing_stops_the_start() {
    let made = Made::pyjwt();
    let stores = Stores::new(Backend::Embedded);
    std::fs::write(made.path("set.pem"), made.token("RS256.pem").repeat(2)).expect("a file");
    for (variable, file, says) in [
        (KEY, "weak.pem", "contains an RSA key of 1024 bits, but RS256 needs at least 2048."),
        (KEY, "p384.pem", "contains a key of another elliptic curve than P-256"),
        (KEY, "secp256k1.pem", "contains a key of another elliptic curve than P-256"),
        (KEY, "set.pem", "contains neither one public key in PEM"),
        (KEY, "HS256.secret", "contains neither one public key in PEM"),
        (SECRET, "RS256.pem", "contains a key, but must contain a shared secret"),
        (SECRET, "set.json", "contains a key, but must contain a shared secret"),
    ] {
        let output = command_line(&exchanges(stores.settings(), variable, &made.path(file)), &[], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{file}: {said}");
        assert!(said.contains(&format!("{variable} {says}")) && said.lines().count() == 1, "{file}: {said}");
    }
}
