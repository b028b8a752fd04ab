//! Users of another system, with the passwords that they have there.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::tools::fingerprint;
use crate::support::client::{Anonymous, PASSWORD, new_email};
use crate::support::process::{Process, command_line, command_line_ok};
use crate::support::requests::{Requests, Response};
use crate::support::server::{Backend, Stores, TestServer, on_each_backend};
use crate::support::wait::{stopwatch, until};

/// Of [`THEIR_PASSWORD`], by other libraries: maker and hash in each line.
const HASHES: &str = include_str!("import_files/hashes.txt");
const THEIR_PASSWORD: &str = "trombone café on the 7th floor";

/// A file with these lines, and the folder that it is in.
fn file(lines: &[String]) -> (TempDir, String) {
    let folder = TempDir::with_prefix("import-").expect("a folder");
    let path = folder.path().join("users.jsonl");
    fs::write(&path, lines.join("\n")).expect("written");
    (folder, path.display().to_string())
}

/// A busy machine has no time for a hash: then a client asks again.
async fn login(visitor: &Anonymous, email: &str, password: &str) -> Response {
    loop {
        let answer = visitor.login(email, password).await;
        if answer.status != 503 {
            return answer;
        }
    }
}

fn stored(server: &TestServer, email: &str) -> String {
    server.stores.database.value(&format!("SELECT password_hash AS value FROM users WHERE email = '{email}'"))
}

on_each_backend! {
    /// A pipe that is given by its name has nothing left when it is read again.
    async fn what_is_no_file_is_refused(server: TestServer) {
        let before = fingerprint(&server.stores.database);
        let output = command_line(&server.settings, &["user", "import", "/dev/stdin"], "{\"email\": \"a@example.org\"}\n");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains("write - to read standard input"), "{told}");
        assert_eq!(fingerprint(&server.stores.database), before);
    }

    async fn users_come_with_their_passwords_and_get_our_hash_at_the_next_sign_in(server: TestServer) {
        let settings = &server.settings;
        let mut lines = Vec::new();
        for (maker, hash) in HASHES.lines().filter_map(|line| line.split_once(' ')) {
            let email = format!("{maker}@example.org");
            lines.push(json!({ "email": email, "name": maker, "roles": ["admin"], "hash": hash }).to_string());
        }
        let owner = server.signed_in().await;
        lines.push(json!({ "email": owner.email.to_uppercase(), "hash": "pbkdf2_sha256$1000$s$MDEyMzQ1Njc4OTAxMjM0NQ==" }).to_string());
        lines.push(json!({ "email": "nopassword@example.org" }).to_string());
        lines.push(json!({ "email": "NoPassword@example.org" }).to_string());
        let count = lines.len() - 2;
        let (_folder, path) = file(&lines);
        let before = fingerprint(&server.stores.database);
        let told = |arguments: &[&str]| -> Value {
            let all = [&["user", "import", &path, "--json"], arguments].concat();
            serde_json::from_str(&command_line_ok(settings, &all, "")).expect("one object")
        };
        let expected = |dry_run: bool, added: usize| {
            json!({ "dry_run": dry_run, "added": added, "existing": lines.len() - added, "bad": 0, "bad_lines": [] })
        };
        assert_eq!(told(&["--dry-run"]), expected(true, count));
        assert_eq!(fingerprint(&server.stores.database), before, "a dry run changes nothing");
        assert_eq!(told(&[]), expected(false, count));
        assert_eq!(told(&[]), expected(false, 0), "repeated, it is harmless");
        let created = "actor = 'command line' AND event = 'user_created' AND detail = 'imported'";
        assert_eq!(server.stores.database.count("audit", created), count);

        for (maker, hash) in HASHES.lines().filter_map(|line| line.split_once(' ')) {
            let email = format!("{maker}@example.org");
            assert_eq!(stored(&server, &email), hash);
            login(&server.anonymous(), &email, PASSWORD).await.assert_problem(401, "wrong-credentials");
            let visitor = server.anonymous();
            let answer = login(&visitor, &email, THEIR_PASSWORD).await;
            answer.assert_status(200);
            let signed_in = visitor.into_signed_in(&email, THEIR_PASSWORD, &answer);
            signed_in.get("/admin/users?query=bcrypt").await.assert_status(200);
            let ours = stored(&server, &email);
            assert!(ours.starts_with("$argon2id$v=19$") && ours != hash, "{maker}: {ours}");
            login(&server.anonymous(), &email, THEIR_PASSWORD).await.assert_status(200);
            login(&server.anonymous(), &email, PASSWORD).await.assert_problem(401, "wrong-credentials");
            assert_eq!(stored(&server, &email), ours, "the next sign-in leaves it");
        }
        owner.sign_in_again().await;
        let listed = command_line_ok(settings, &["user", "list", "--query", "nopassword"], "");
        assert!(listed.contains("nopassword@example.org") && listed.contains("locked"), "{listed}");
        server.anonymous().login("nopassword@example.org", "").await.assert_status(401);
    }

    async fn a_bad_line_stops_all_or_itself_and_shows_nothing(server: TestServer) {
        let settings = &server.settings;
        let good = |name: &str| json!({ "email": format!("{name}@example.org") }).to_string();
        let secret = "$2b$15$Ybrm3VuMpdV66AJ8S93JjeW..g.hjanM8sDmNo8BWnU6w6ploL6La";
        let dear = json!({ "email": "dear@example.org", "hash": secret }).to_string();
        let typo = json!({ "email": "typo@example.org", "password_hash": secret }).to_string();
        let lines = [good("a"), dear, good("b"), typo, good("c")];
        let (_folder, path) = file(&lines);
        let users = || server.stores.database.count("users", "email LIKE '%@example.org' AND length(email) < 14");
        let said = |arguments: &[&str], input: &str| {
            let output = command_line(settings, arguments, input);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
            assert!(!said.contains("Ybrm3") && !said.contains("dear@") && !said.contains("typo@"), "{said}");
            (output.status.code(), said)
        };
        let (code, told) = said(&["user", "import", &path], "");
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("Line 2: the hash costs more") && told.contains("Line 4: it is not one JSON"), "{told}");
        assert!(told.contains("Nothing was imported"), "{told}");
        assert_eq!(users(), 0);
        // Standard input cannot be read twice.
        let (code, told) = said(&["user", "import", "-"], &lines.join("\n"));
        assert!(code == Some(1) && told.contains("Line 2 is bad") && told.contains("Users imported: 1."), "{told}");
        assert_eq!(users(), 1);
        let (code, told) = said(&["user", "import", &path, "--skip-bad-lines"], "");
        assert!(code == Some(0) && told.contains("Users imported: 2.") && told.contains("Bad lines: 2."), "{told}");
        assert!(told.contains("Line 4:"), "{told}");
        assert_eq!(users(), 3);
        let (code, told) = said(&["user", "import", "/nowhere/users.jsonl"], "");
        assert!(code == Some(1) && told.contains("/nowhere/users.jsonl cannot be read"), "{told}");
    }
}

/// How long it takes to refuse a password at this address.
async fn refusal(server: &Process, email: &str) -> Duration {
    loop {
        let watch = stopwatch();
        let answer = server.anonymous().login(email, THEIR_PASSWORD).await;
        let took = watch();
        if answer.status != 503 {
            answer.assert_problem(401, "wrong-credentials");
            return took;
        }
    }
}

/// The time does not tell whose hash another system made: as many unknown addresses cost the same (invariant 8).
#[tokio::test]
async fn an_unknown_address_costs_what_an_imported_hash_costs() {
    let stores = Stores::new(Backend::Embedded);
    let settings = stores.settings().with("SESSIOND_SIGN_IN_ADDRESS_LIMIT", "10000");
    // Of nobody's password, and dear, so that it stands out beside a cheap hash of a test.
    let dear = "pbkdf2_sha256$400000$seasalt$Hn39Gj8W5Oii4uiUJ3r7SuCbxl6oKCFzKm/Ppnk1gjE=";
    let (_folder, path) = file(&[json!({ "email": "ana@example.org", "hash": dear }).to_string()]);
    let mut server = Process::start(&settings);
    // The first one of a process may wait for more than its hash.
    refusal(&server, &new_email()).await;
    let ours = refusal(&server, &new_email()).await;
    command_line_ok(&settings, &["user", "import", &path], "");
    let theirs = refusal(&server, "ana@example.org").await;
    assert!(theirs > 4 * ours, "the test sees no difference: {ours:?} and {theirs:?}");
    // A node reads what hashes there are when it starts, and every ten minutes.
    server.restart();
    until("unknown addresses cost the same", Duration::from_secs(30), async || {
        refusal(&server, &new_email()).await > theirs / 2
    })
    .await;
}
