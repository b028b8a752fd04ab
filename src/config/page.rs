//! The settings page of the documentation, generated from the declarations.
//!
//! Owns its form, and a test keeps the page in step: `SESSIOND_WRITE_DOCS=1 cargo test --lib configuration_page` writes
//! it again. Must never say anything about a setting beyond its declaration.

use std::fmt::Write as _;

use clap::Args as _;

use super::settings::Settings;

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
    for setting in Settings::augment_args(clap::Command::new("sessiond")).get_arguments() {
        let Some(variable) = setting.get_env() else { continue };
        let help = setting.get_long_help().or(setting.get_help()).map(ToString::to_string).unwrap_or_default();
        let help = help.replace('\n', " ").replace('|', "\\|");
        let (said, default) = match help.rsplit_once(" [default: ") {
            Some((said, default)) => (said, default.trim_end_matches(']')),
            None => (help.as_str(), "none"),
        };
        let _written = writeln!(page, "| `{}` | {default} | {said} |", variable.to_string_lossy());
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
