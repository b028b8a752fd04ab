//! The checker checked: it must find what is planted, and nothing in good code.
//!
//! Owns small source folders with one thing wrong each. Must never read the real sources.

use std::fs;

use tempfile::TempDir;

use super::check::violations;
use super::imports::imports;

fn found(files: &[(&str, &str)]) -> Vec<String> {
    let folder = TempDir::new().expect("a folder");
    for (name, source) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder below");
        fs::write(path, format!("//! Good.\n{source}")).expect("a file");
    }
    violations(folder.path())
}

#[test]
fn good_code_passes() {
    let files = [
        ("lib.rs", "pub mod domain; pub mod live; pub mod service;"),
        ("main.rs", "fn main() { sessiond::cli::run() }"),
        (
            "domain/mod.rs",
            "pub mod token; pub mod user;\npub use token::Token;\npub use user::{User, Name as UserName};",
        ),
        ("domain/token.rs", "use std::fmt;\npub struct Token;"),
        (
            "domain/user.rs",
            "use super::Token; use super::token::Token as Same;\n/* crate::live */ const X: &str = \"crate::http\";",
        ),
        ("live/mod.rs", "use crate::domain::{self, Token};\nuse redis::Client; // crate::ledger"),
        ("service/mod.rs", "mod check;\npub use check::Checked;\nuse crate::live; pub struct App;"),
        ("service/check/authenticate.rs", "use super::App; impl App { fn a<'a>(x: &'a str) -> char { '\"' } }"),
    ];
    assert_eq!(found(&files), Vec::<String>::new());
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    let wrong = ["live/route.rs: live may not import ledger"];
    for source in [
        "use crate::ledger::Ledger;",
        "use crate::{domain, ledger::{self, Ledger}};",
        "use super::super::ledger;",
        "fn f() { crate::ledger::open() }",
        "mod tests { use super::super::super::ledger::x; }",
        "#[derive(Clone)] struct X(Vec<crate::ledger::Ledger>);",
        "const A: char = '\"'; use crate::ledger::Ledger; const B: char = '\"';",
    ] {
        assert_eq!(found(&[("live/route.rs", source)]), wrong, "{source}");
    }
}

#[test]
fn a_room_imports_no_room_above_it_and_not_the_face_of_all() {
    let wrong = |target: &str| vec![format!("service/risk/judge.rs: a room may not import service::{target}")];
    for (source, expected) in [
        ("use crate::service::check::Check;", wrong("check")),
        ("use super::super::users::Users;", wrong("users")),
        ("use crate::service::App;", wrong("App")),
        ("use crate::service::core::Core; use super::Risk; use crate::service::sessions::end;", Vec::new()),
    ] {
        assert_eq!(found(&[("service/risk/judge.rs", source)]), expected, "{source}");
    }
    assert_eq!(found(&[("service/app.rs", "use super::jobs::Jobs;")]), Vec::<String>::new());
}

#[test]
fn domain_imports_nothing_and_http_not_the_stores() {
    assert_eq!(found(&[("domain/x.rs", "use crate::config::Config;")]), ["domain/x.rs: domain may not import config"]);
    assert_eq!(found(&[("http/x.rs", "use crate::live::Live;")]), ["http/x.rs: http may not import live"]);
    assert_eq!(found(&[("main.rs", "use sessiond::ledger;")]), ["main.rs: main may not import ledger"]);
}

#[test]
fn a_foreign_crate_outside_of_its_layer_is_found() {
    let wrong = "service/x.rs: redis may only be named in live";
    assert_eq!(found(&[("service/x.rs", "use redis::{Client, aio};")]), [wrong]);
    assert_eq!(found(&[("service/x.rs", "fn f(redis: X) { redis.get(); ::redis::cmd(1) }")]), [wrong]);
    assert_eq!(found(&[("service/x.rs", "fn f(redis: X) { redis.get() }")]), Vec::<String>::new());
    assert_eq!(
        found(&[("domain/token.rs", "use argon2::Argon2;")]),
        ["domain/token.rs: argon2 may only be named in domain::password"]
    );
    assert_eq!(found(&[("domain/password.rs", "use argon2::Argon2;")]), Vec::<String>::new());
    assert_eq!(
        found(&[("main.rs", "#[actix_web::main] async fn main() {}")]),
        ["main.rs: actix_web may only be named in http, server"]
    );
}

#[test]
fn a_cycle_is_found_also_behind_a_re_export() {
    let plain = [("domain/a.rs", "use super::b::B;"), ("domain/b.rs", "use crate::domain::a::A;")];
    assert_eq!(found(&plain), ["cycle: domain::a -> domain::b -> domain::a"]);
    let hidden = [
        ("domain/mod.rs", "pub use a::A;\npub use b::*;\npub use c::C;"),
        ("domain/a.rs", "use super::C;"),
        ("domain/b.rs", "use super::A;"),
        ("domain/c.rs", "fn f() { crate::domain::b::g() }"),
    ];
    assert_eq!(found(&hidden), ["cycle: domain::a -> domain::c -> domain::b -> domain::a"]);
}

#[test]
fn a_file_that_is_silent_long_or_of_no_layer_is_found() {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("ledger")).expect("a folder below");
    let long = "fn f() {}\n".repeat(401);
    fs::write(folder.path().join("config.rs"), &long).expect("a file");
    fs::write(folder.path().join("ledger/schema.rs"), &long).expect("a file");
    fs::write(folder.path().join("misc.rs"), "//! Odds and ends.\n").expect("a file");
    assert_eq!(
        violations(folder.path()),
        [
            "config.rs: 401 lines, more than 400",
            "config.rs: does not open with //!, what it owns and must never do",
            "misc.rs: misc is no layer of tests/arrows.rs",
        ]
    );
}

#[test]
fn paths_are_read_from_the_root() {
    let module = ["service".to_owned(), "check".to_owned()];
    let read = |source: &str| -> Vec<String> {
        imports(source, &module).iter().map(|import| import.path.join("::")).collect()
    };
    assert_eq!(
        read("use super::{App, sign_in::{self, SignIn}};"),
        ["crate::service::App", "crate::service::sign_in::self", "crate::service::sign_in::SignIn",]
    );
    assert_eq!(
        read("use crate::domain::*; let r = r#\"crate::x \" \"#; b'\\''; a::b::<c::D>(x)"),
        ["crate::domain::*", "a::b", "c::D",]
    );
}
