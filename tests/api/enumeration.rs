//! Who has an account is not told by a refused sign-in: not by its bytes, and not by the work that it costs.
//!
//! Times are compared by `cargo bench -- enumeration`; here hashes are counted, which no busy machine changes.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;

use crate::api::tools::send;
use crate::support::client::{PASSWORD, new_email};
use crate::support::hash_cost;
use crate::support::process::command_line_ok;
use crate::support::raw::RawResponse;
use crate::support::server::{TestServer, on_each_backend};

/// A stored hash of [`PASSWORD`] with less memory than today's, as an import may bring.
fn weaker_hash() -> String {
    let (salt, mut output) = (*b"a salt of sixtee", [0; 32]);
    let params = Params::new(1_024, 1, 1, Some(32)).expect("parameters");
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    hasher.hash_password_into(PASSWORD.as_bytes(), &salt, &mut output).expect("a hash");
    let [salt, output] = [salt.as_slice(), output.as_slice()].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    format!("$argon2id$v=19$m=1024,t=1,p=1${salt}${output}")
}

/// All bytes of an answer, without what differs between two answers to one question. The order of the headers is drawn
/// anew for every answer, so it tells nothing.
fn bytes(answer: &RawResponse) -> String {
    let ids = answer.header("x-request-id");
    assert_eq!(ids.len(), 1, "{answer:?}");
    let lines = answer.head.lines().map(|line| match line.split_once(':') {
        Some((name, _)) if name.eq_ignore_ascii_case("date") => "date",
        _ => line,
    });
    let mut head: Vec<_> = lines.collect();
    head.sort_unstable();
    format!("{}\n\n{}", head.join("\n"), answer.body).replace(ids[0], "ID")
}

async fn sign_in(server: &TestServer, email: &str, password: &str) -> RawResponse {
    let body = json!({ "email": email, "password": password }).to_string();
    send(server, "POST", "/login", &["Content-Type: application/json"], body.as_bytes()).await
}

on_each_backend! {
    async fn c_24_l_10_l_11_l_12_every_refused_sign_in_is_the_same_bytes_and_the_same_work(server: TestServer) {
        hash_cost::full();
        let visitor = server.anonymous();
        let [known, disabled, unusable, excessive, weaker] = std::array::from_fn(|_| new_email());
        for email in [&known, &disabled, &unusable, &excessive, &weaker] {
            visitor.register(email).await.assert_status(201);
        }
        command_line_ok(&server.settings, &["user", "disable", &disabled], "");
        let set = |email: &str, hash: &str| {
            server.stores.database.execute(&format!("UPDATE users SET password_hash = '{hash}' WHERE email = '{email}'"));
        };
        set(&unusable, "letmein");
        set(&excessive, &weaker_hash().replace("m=1024", "m=8388608"));
        set(&weaker, &weaker_hash());
        let unknown = new_email();
        let mut seen: Vec<(&str, String)> = Vec::new();
        for (what, email, password) in [
            ("nobody", unknown.as_str(), PASSWORD),
            ("no address", "not an address", PASSWORD),
            ("a wrong password", &known, "not my password at all"),
            ("disabled, right password", &disabled, PASSWORD),
            ("disabled, wrong password", &disabled, "not my password at all"),
            ("a hash that cannot be used", &unusable, PASSWORD),
            ("a hash that asks for 8 GiB", &excessive, PASSWORD),
            ("a weaker hash, wrong password", &weaker, "not my password at all"),
        ] {
            let before = server.node().app().sign_in.hashing().computed;
            let answer = sign_in(&server, email, password).await;
            assert_eq!(answer.status, Some(401), "{what}: {answer:?}");
            assert_eq!(server.node().app().sign_in.hashing().computed - before, 1, "{what}: one hash");
            seen.push((what, bytes(&answer)));
        }
        let (_, first) = &seen[0];
        for (what, bytes) in &seen {
            assert_eq!(bytes, first, "{what}");
        }
        assert!(!first.to_lowercase().contains("set-cookie"), "{first}");
    }
}
