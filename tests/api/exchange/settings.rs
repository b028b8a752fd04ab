//! The settings of an exchange: what a server refuses to start with, and what it prints.

use crate::support::old_tokens::Application;
use crate::support::process::{command_line, command_line_ok};
use crate::support::server::{Backend, Stores};

#[tokio::test]
async fn a_start_without_a_bound_is_refused() {
    let (shop, stores) = (Application::with_secret(), Stores::new(Backend::Embedded));
    let good = shop.exchanged_by(stores.settings());
    let short = shop.file("short", "hunter2").display().to_string();
    for (variable, value, says) in [
        ("SESSIOND_EXCHANGE_ISSUER", "", "is needed to exchange tokens"),
        ("SESSIOND_EXCHANGE_AUDIENCE", "", "is needed to exchange tokens"),
        ("SESSIOND_EXCHANGE_UNTIL", "", "is needed to exchange tokens"),
        ("SESSIOND_EXCHANGE_UNTIL", "some day", "must be a date"),
        ("SESSIOND_EXCHANGE_SECRET_FILE", &short, "contains a secret of 7 bytes, but HS256 needs at least 32."),
        ("SESSIOND_EXCHANGE_SECRET_FILE", "", "is set without a key"),
        ("SESSIOND_EXCHANGE_REVOKED_FILE", "/no/such/file", "/no/such/file: No such file"),
    ] {
        let output = command_line(&good.clone().with(variable, value), &["check-config"], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{variable}: {said}");
        assert!(said.contains("SESSIOND_EXCHANGE_") && said.contains(says) && !said.contains("hunter2"), "{said}");
    }
    // A command that exchanges nothing needs no key.
    let gone = good.clone().with("SESSIOND_EXCHANGE_SECRET_FILE", "/no/such/file");
    command_line_ok(&gone, &["migrate"], "");
    let shown = command_line_ok(&good, &["check-config"], "");
    assert!(shown.contains("SESSIOND_EXCHANGE_UNTIL") && shown.contains("2100-01-01T00:00:00.000Z"), "{shown}");
    assert!(!shown.contains("is a secret"), "{shown}");
}
