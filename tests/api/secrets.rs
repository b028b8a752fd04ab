//! Nothing to steal at rest: after a walk through everything, no token, cookie or password is in a log at its most
//! talkative, in Redis or in SQL; and stored hashes are as strong as they must be, and no stronger than is bearable.

use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use reqwest::Method;
use serde_json::json;

use crate::support::client::{COOKIE, PASSWORD, SignedIn, new_email};
use crate::support::hash_cost;
use crate::support::process::{Process, command_line_ok};
use crate::support::raw::raw;
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::stopwatch;

const NEW: &str = "another four plain words";
const RESET: &str = "a password from a one-time link";
const WRONG: &str = "what somebody mistyped";

/// What must be nowhere, with the forms that it could take.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, what: &str, secret: &str) {
        self.0.push((what.to_owned(), secret.to_owned()));
    }

    fn add_session(&mut self, who: &SignedIn) {
        let (token, cookie) = (who.token(), who.cookie());
        self.add("a token", &token);
        self.add("a token's bytes", &token.replace('-', ""));
        self.add("a token's bytes", &token.replace('-', "").to_uppercase());
        let bytes = uuid::Uuid::parse_str(&token).expect("a token is spelled like a UUID");
        self.add("a token's bytes", &STANDARD_NO_PAD.encode(bytes.as_bytes()));
        self.add("a cookie", &cookie);
        let signature = cookie.get(..20).expect("a signature").to_owned();
        self.add("a cookie's signature", &signature);
    }

    #[track_caller]
    fn assert_not_in(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            let found = text.lines().find(|line| line.contains(secret.as_str()));
            assert!(found.is_none(), "{what} ({secret}) in {place}: {found:?}");
        }
    }
}

/// Everything that has a secret in it, right and wrong, at a server process.
async fn walk(server: &TestServer, process: &Process) -> Secrets {
    let mut secrets = Secrets::default();
    for password in [PASSWORD, NEW, RESET, WRONG] {
        secrets.add("a password", password);
    }
    let owner = process.anonymous().sign_up().await;
    secrets.add_session(&owner);
    process.anonymous().login(&owner.email, WRONG).await.assert_status(401);
    process.anonymous().login("nobody@example.org", WRONG).await.assert_status(401);
    for path in ["/me", "/sessions", "/auth/forward", "/account", "/nothing"] {
        owner.get(path).await;
        owner.get(&format!("{path}?token={}", owner.token())).await;
    }
    owner.rename(Some("Ana")).await.assert_status(200);
    owner.change_password(WRONG, NEW).await.assert_status(403);
    owner.change_password(PASSWORD, NEW).await.assert_status(200);
    secrets.add_session(&owner);
    let link = server.reset_token(&owner.email);
    secrets.add("a one-time link", &link);
    let reset = json!({ "token": link, "new_password": RESET });
    process.anonymous().post_json("/reset", &reset).await.assert_status(204);
    process.anonymous().post_json("/reset", &reset).await.assert_status(422);
    let again = process.anonymous().sign_in(&owner.email, RESET).await;
    secrets.add_session(&again);
    again
        .post_json("/login", &json!({ "email": owner.email, "password": RESET, "remember": true }))
        .await
        .assert_status(200);
    secrets.add_session(&again);
    clumsy(process, &again).await;
    again.get("/auth/forward").await.assert_status(200);
    secrets
}

/// Secrets where they do not belong, and requests that a library may complain of.
async fn clumsy(process: &Process, who: &SignedIn) {
    let (token, cookie) = (who.token(), who.cookie());
    let visitor = process.anonymous();
    visitor.call(Method::GET, "/me").header("Authorization", &format!("Bearer {token}")).send().await;
    visitor.call(Method::GET, "/me").header("Authorization", &format!("Basic {WRONG}")).send().await;
    visitor.call(Method::POST, &format!("/logout?token={token}")).send().await;
    visitor.change(Method::POST, "/login").body("text/plain", format!("password={WRONG}")).send().await;
    visitor.change(Method::POST, "/login").body("application/json", format!("{{\"password\":\"{WRONG}\"")).send().await;
    visitor.post_json("/login", &json!({ "email": "a@b.c", "password": WRONG, WRONG: WRONG })).await;
    visitor.post_json("/login", &json!({ "email": ["a@b.c"], "password": [WRONG] })).await;
    visitor.post_json("/register", &json!({ "email": WRONG, "password": WRONG })).await;
    for line in [
        format!("Cookie: {COOKIE}={cookie}x"),
        format!("Cookie: {COOKIE}={cookie}; {COOKIE}={cookie}"),
        format!("Cookie: {COOKIE}={token}"),
        format!("Cookie: {COOKIE}=\"{cookie}\""),
        format!("Cookie: {COOKIE}={cookie}\0"),
        format!("Content-Length: {token}"),
        format!("Transfer-Encoding: {token}"),
        format!("X-Long: {}{token}", "a".repeat(200_000)),
        token.clone(),
    ] {
        let request = format!("GET /me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{line}\r\n\r\n");
        raw(&process.url(), request.as_bytes()).await;
    }
}

fn cheap_hash(password: &str, memory: u32, passes: u32) -> String {
    let params = Params::new(memory, passes, 1, Some(32)).expect("parameters");
    let (salt, mut output) = (b"somesaltsomesalt", [0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), salt, &mut output).expect("a hash");
    let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
    format!("$argon2id$v=19$m={memory},t={passes},p=1${salt}${output}")
}

fn set_hash(server: &TestServer, user: &SignedIn, hash: &str) {
    server.stores.database.execute(&format!("UPDATE users SET password_hash = '{hash}' WHERE id = '{}'", user.user_id));
}

fn hash_of(server: &TestServer, user: &SignedIn) -> String {
    server.stores.database.value(&format!("SELECT password_hash AS value FROM users WHERE id = '{}'", user.user_id))
}

/// The most memory that this process has ever had, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

on_each_backend! {
    async fn after_a_walk_through_everything_no_secret_is_anywhere(server: TestServer) {
        for format in ["text", "json"] {
            let settings = server.settings.clone().with("RUST_LOG", "trace").with("SESSIOND_LOG_FORMAT", format);
            let mut process = Process::start(&settings);
            let mut secrets = walk(&server, &process).await;
            secrets.add("the cookie key", server.settings.get("SESSIOND_COOKIE_KEY").expect("a key"));
            if let Some(redis) = server.stores.servers_if_any() {
                let dump = redis.dump_text();
                assert!(dump.contains("session:"), "there is something to look at: {dump}");
                secrets.assert_not_in("Redis", &dump);
            }
            let dump = server.stores.database.dump_text();
            assert!(dump.contains("argon2id") && dump.contains("authn_login_success"), "there is something to look at");
            secrets.assert_not_in("SQL", &dump);
            assert!(process.terminate(), "it stops in order");
            let log = process.output();
            assert!(log.contains("TRACE") || log.contains("DEBUG") || log.contains("\"debug\""), "as talkative as can be: {log}");
            secrets.assert_not_in("the log", &log);
        }
    }

    async fn a_made_up_line_in_an_address_is_no_line_of_the_log(server: TestServer) {
        let mut process = Process::start(&server.settings.clone().with("RUST_LOG", "trace"));
        let forged = "2026-01-01T00:00:00Z INFO  sessiond: authn_login_success";
        for text in [format!("a\n{forged}"), format!("a\r\n{forged}"), format!("a\u{1b}[2K\r{forged}")] {
            process.anonymous().login(&text, WRONG).await.assert_status(422);
            process.anonymous().register(&text).await.assert_status(422);
            process.anonymous().call(Method::GET, "/me").header("X-Forwarded-For", "1.2.3.4, evil").send().await;
        }
        process.terminate();
        assert!(process.output().lines().all(|line| !line.starts_with("2026-01-01T00:00:00Z")), "{}", process.output());
        assert!(!process.output().contains('\u{1b}'), "{}", process.output());
    }

    async fn a_stored_hash_is_argon2id_as_owasp_wants_it(server: TestServer) {
        hash_cost::full();
        let owner = server.signed_in().await;
        command_line_ok(&server.settings, &["user", "add", &new_email()], &format!("{PASSWORD}\n"));
        let changed = server.signed_in().await;
        changed.change_password(PASSWORD, NEW).await.assert_status(200);
        let reset = server.signed_in().await;
        let body = json!({ "token": server.reset_token(&reset.email), "new_password": NEW });
        server.anonymous().post_json("/reset", &body).await.assert_status(204);
        let hashes = server.stores.database.values("SELECT password_hash AS value FROM users");
        assert_eq!(hashes.len(), 4);
        for hash in hashes.into_iter().flatten() {
            let parts: Vec<&str> = hash.split('$').collect();
            assert_eq!(parts.get(1..4), Some(["argon2id", "v=19", "m=19456,t=2,p=1"].as_slice()), "{hash}");
            assert_eq!(parts.get(4).map(|salt| salt.len()), Some(22), "16 bytes of salt: {hash}");
        }
        assert_ne!(hash_of(&server, &owner).split('$').nth(4), hash_of(&server, &changed).split('$').nth(4), "a salt each");
    }

    async fn an_older_hash_verifies_and_is_upgraded_at_the_next_sign_in(server: TestServer) {
        hash_cost::full();
        let owner = server.signed_in().await;
        let visitor = server.anonymous();
        for (memory, passes) in [(1_024, 1), (19_456, 1), (8_192, 4)] {
            let old = cheap_hash(PASSWORD, memory, passes);
            set_hash(&server, &owner, &old);
            visitor.login(&owner.email, WRONG).await.assert_problem(401, "wrong-credentials");
            assert_eq!(hash_of(&server, &owner), old, "only who knows the password can upgrade it");
            visitor.login(&owner.email, PASSWORD).await.assert_status(200);
            let upgraded = hash_of(&server, &owner);
            assert!(upgraded.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{upgraded}");
            visitor.login(&owner.email, PASSWORD).await.assert_status(200);
            assert_eq!(hash_of(&server, &owner), upgraded, "and then it stays");
            assert!(owner.is_signed_in().await, "the same password: no session ends");
        }
        // A stronger one than ours is left alone.
        let strong = cheap_hash(PASSWORD, 32_768, 3);
        set_hash(&server, &owner, &strong);
        visitor.login(&owner.email, PASSWORD).await.assert_status(200);
        assert_eq!(hash_of(&server, &owner), strong);
    }

    /// Whenever a change of the password comes, before, amid or after the upgrade: it is what stands in the end.
    async fn an_upgrade_never_overwrites_a_password_that_was_changed_meanwhile(server: TestServer) {
        hash_cost::full();
        let owner = server.signed_in().await;
        let (old, changed) = (cheap_hash(PASSWORD, 1_024, 1), cheap_hash(NEW, 1_024, 1));
        let mut amid = 0;
        for round in 0..12 {
            set_hash(&server, &owner, &old);
            let visitor = server.anonymous();
            let email = owner.email.clone();
            let signing_in = tokio::spawn(async move { visitor.login(&email, PASSWORD).await.status });
            tokio::time::sleep(Duration::from_millis(4 * round)).await;
            let not_yet = hash_of(&server, &owner) == old;
            set_hash(&server, &owner, &changed);
            let status = signing_in.await.expect("an answer");
            assert!([200, 401].contains(&status), "round {round}: {status}");
            amid += u32::from(not_yet && status == 200);
            assert_eq!(hash_of(&server, &owner), changed, "round {round}: the change was lost");
        }
        assert!(amid > 0, "no round met the moment between reading and upgrading");
    }

    async fn absurd_parameters_of_a_stored_hash_are_not_obeyed(server: TestServer) {
        hash_cost::full();
        let owner = server.signed_in().await;
        let visitor = server.anonymous();
        visitor.login(&owner.email, WRONG).await.assert_status(401);
        let good = cheap_hash(PASSWORD, 1_024, 1);
        let before = peak_kib();
        for stored in [
            good.replace("m=1024", "m=8388608"),
            good.replace("t=1", "t=4000000000"),
            good.replace("p=1", "p=16777215"),
            good.replace("m=1024", "m=99999999999999999999"),
            good.replace("argon2id", "argon2d"),
            good.replace("v=19", "v=16"),
            "$2b$31$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu".to_owned(),
            PASSWORD.to_owned(),
            String::new(),
        ] {
            set_hash(&server, &owner, &stored);
            // So that the throttle lets every one through.
            server.clock.advance(Duration::from_secs(60));
            let watch = stopwatch();
            visitor.login(&owner.email, PASSWORD).await.assert_problem(401, "wrong-credentials");
            assert!(watch() < Duration::from_secs(3), "{stored}: {:?}", watch());
        }
        let grown = peak_kib() - before;
        assert!(grown < 30_000, "{grown} KiB more than before");
    }
}
