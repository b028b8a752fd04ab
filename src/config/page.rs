//! The settings page of the documentation, generated from the declarations.
//!
//! Owns its form, and a test keeps the page in step: `SESSIOND_WRITE_DOCS=1 cargo test --lib configuration_page` writes
//! it again. Must never say anything about a setting beyond its declaration.

use std::fmt::Write as _;

use super::settings::DECLARED;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");

const INTRODUCTION: &str = "\
# Configuration

Each setting is an environment variable and an option: `SESSIOND_IDLE_TIMEOUT` is `--idle-timeout`. Durations are written `90s`,
`30m`, `12h`, `14d`. An invalid or conflicting value aborts startup with a one-line error and exit code 2. An unknown `SESSIOND_…`
name causes a warning that names the nearest setting. `sessiond check-config` prints the settings in force, with secrets masked.

`RUST_LOG` sets what is logged (`info`). This page is generated from the declarations in `src/config/settings.rs`.

| variable | default | |
|---|---|---|
";

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for setting in DECLARED {
        let help = setting.help.trim().replace('|', "\\|");
        let default = setting.default.or(setting.in_words).unwrap_or("none");
        let _written = writeln!(page, "| `{}` | {default} | {help} |", setting.variable);
    }
    page
}

#[test]
fn the_configuration_page_is_what_is_declared() {
    if std::env::var_os("SESSIOND_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, page()).unwrap();
    }
    let found = std::fs::read_to_string(PAGE).unwrap();
    assert_eq!(found, page(), "write the page again: SESSIOND_WRITE_DOCS=1 cargo test --lib configuration_page");
}
