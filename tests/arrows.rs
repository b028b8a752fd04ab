//! The arrows: who may import whom, read from the sources.
//!
//! Owns the table of layers and the test that holds the code to it, so that the map of the code in docs/architecture.md
//! stays true. Must never need a server, and must never be loosened for one file: move the code instead.

mod check;
mod imports;
mod planted;
mod tokens;
mod transactions;

/// What each layer may import of this crate, besides itself. The crate root only names the modules.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("fault_point", &[]),
    ("config", &["domain"]),
    ("telemetry", &["domain", "config"]),
    ("live", &["domain"]),
    ("ledger", &["domain"]),
    ("webhook", &["domain"]),
    ("service", &["domain", "live", "ledger", "webhook", "fault_point"]),
    ("http", &["domain", "service", "config"]),
    ("server", &["domain", "config", "live", "ledger", "webhook", "service", "http"]),
    ("embed", &["domain", "config", "service", "http", "server"]),
    ("cli", &["domain", "config", "telemetry", "ledger", "service", "server"]),
    ("main", &["cli", "config", "telemetry", "server"]),
    (
        "lib",
        &[
            "domain",
            "fault_point",
            "config",
            "telemetry",
            "live",
            "ledger",
            "service",
            "http",
            "server",
            "cli",
            "embed",
            "webhook",
        ],
    ),
];

/// The rooms of the service, the lowest first: each may import those before it.
const ROOMS: &[&str] = &[
    "core",
    "audit",
    "events",
    "fence",
    "sessions",
    "risk",
    "near_cache",
    "check",
    "credentials",
    "access_tokens",
    "sign_in",
    "users",
    "jobs",
];

/// Where a foreign crate may be named: a layer, or one module of it.
const HOMES: &[(&str, &[&str])] = &[
    ("actix_web", &["http", "server"]),
    ("actix_session", &["http", "server"]),
    ("actix_identity", &["http", "server"]),
    ("redis", &["live"]),
    ("deadpool", &["live"]),
    ("deadpool_redis", &["live"]),
    ("diesel", &["ledger"]),
    ("diesel_migrations", &["ledger"]),
    ("hyper", &["webhook"]),
    ("hyper_util", &["webhook"]),
    ("http_body_util", &["webhook"]),
    ("tokio_rustls", &["webhook"]),
    ("rustls_native_certs", &["webhook"]),
    ("url", &["config::url", "domain::webhook_url", "http::next"]),
    ("argon2", &["domain::password"]),
    ("maxminddb", &["service::core::location"]),
    ("zxcvbn", &["domain::password_rules"]),
    ("rustix", &["domain::clock", "service::sign_in::hash_pool", "server::descriptors"]),
];

#[test]
fn imports_go_one_way_without_a_cycle() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let violations = check::violations(&sources);
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
