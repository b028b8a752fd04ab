//! Addresses: one account for one mailbox, and none for what only looks like it.

use serde_json::json;

use crate::api::tools::without_ids;
use crate::support::client::PASSWORD;
use crate::support::process::{command_line, command_line_ok};
use crate::support::server::on_each_backend;

/// What stands for another mailbox than the second one of each pair.
const LOOK_ALIKES: [(&str, &str); 7] = [
    ("info@straße.example", "info@strasse.example"),
    ("straße@example.org", "strasse@example.org"),
    ("\u{fb01}ona@example.org", "fiona@example.org"),
    ("\u{131}da@example.org", "ida@example.org"),
    ("\u{ff41}na@example.org", "ana@example.org"),
    ("an\u{200b}a@example.org", "ana@example.org"),
    ("ana@example.org.", "ana@example.org"),
];

on_each_backend! {
    async fn a_command_acts_on_the_mailbox_that_was_typed_and_on_no_look_alike(server: TestServer) {
        let mut registered = Vec::new();
        for (_, stored) in LOOK_ALIKES {
            if !registered.contains(&stored) {
                server.anonymous().register(stored).await.assert_status(201);
                registered.push(stored);
            }
        }
        for (typed, stored) in LOOK_ALIKES {
            for words in [
                vec!["user", "grant", typed, "admin"],
                vec!["user", "reset", typed],
                vec!["user", "disable", typed, "--force"],
                vec!["user", "delete", typed, "--force"],
                vec!["sessions", "revoke", "--user", typed, "--yes"],
            ] {
                let output = command_line(&server.settings, &words, "");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.code() == Some(1) && said.contains("no account"), "{words:?}: {said}");
            }
            server.anonymous().login(typed, PASSWORD).await.assert_status(if typed.contains('\u{200b}') { 422 } else { 401 });
            server.anonymous().login(stored, PASSWORD).await.assert_status(200);
        }
        assert_eq!(server.stores.database.count("users", "roles <> 'user' OR disabled_at IS NOT NULL"), 0);
        assert_eq!(server.stores.database.count("password_resets", "1 = 1"), 0);
    }

    async fn every_spelling_of_one_mailbox_is_one_account_which_is_shown_as_it_is_stored(server: TestServer) {
        let visitor = server.anonymous();
        let stored = "Ben@köln.example";
        visitor.register(stored).await.assert_status(201);
        for spelling in ["ben@xn--kln-sna.example", "BEN@KO\u{308}LN.EXAMPLE", "ben@XN--KLN-SNA.example", "\u{feff}ben@köln.example "] {
            visitor.register(spelling).await.assert_problem(409, "email-taken");
            let answer = server.anonymous().login(spelling, PASSWORD).await;
            assert_eq!(answer.assert_status(200).json().pointer("/user/email"), Some(&json!(stored)), "{answer}");
            for (words, json) in [
                (vec!["user", "grant", spelling, "admin"], false),
                (vec!["user", "revoke-role", spelling, "admin", "--force"], false),
                (vec!["user", "reset", spelling], false),
                (vec!["user", "disable", spelling], false),
                (vec!["user", "enable", spelling], false),
                (vec!["user", "enable", spelling, "--json"], true),
                (vec!["user", "reset", spelling, "--json"], true),
            ] {
                let said = command_line_ok(&server.settings, &words, "");
                assert!(said.contains(stored), "{words:?}: {said}");
                assert!(!said.contains(spelling.trim()) || json, "{words:?}: {said}");
            }
        }
        // Found as it is written, and as it is compared.
        for query in ["köln.example", "xn--kln", "ben@kö"] {
            let list = command_line_ok(&server.settings, &["user", "list", "--query", query], "");
            assert!(list.contains(stored), "{query}: {list}");
        }
    }

    /// A domain in the letters of its language, as its owner types it: with that script's full stop, or with a joiner where one
    /// belongs.
    async fn a_domain_is_stored_and_shown_in_the_letters_that_it_means(server: TestServer) {
        let joined = "\u{646}\u{627}\u{645}\u{647}\u{200c}\u{627}\u{6cc}.example";
        for (number, (typed, shown, ascii)) in [
            ("example\u{3002}org", "example.org", "example.org"),
            ("b\u{fc}ro\u{ff0e}example", "b\u{fc}ro.example", "xn--bro-hoa.example"),
            ("\u{ff22}\u{dc}ro\u{ff61}exa\u{ff2d}ple", "b\u{fc}ro.example", "xn--bro-hoa.example"),
            (joined, joined, "xn--mgba3gch31f060k.example"),
        ].into_iter().enumerate() {
            let of = |domain: &str| format!("Ana{number}@{domain}");
            server.anonymous().register(&of(typed)).await.assert_status(201);
            for spelling in [typed, shown, ascii] {
                let answer = server.anonymous().login(&of(spelling), PASSWORD).await;
                assert_eq!(answer.assert_status(200).json().pointer("/user/email"), Some(&json!(of(shown))), "{answer}");
                let said = command_line_ok(&server.settings, &["user", "enable", &of(spelling)], "");
                assert!(said.starts_with(&of(shown)), "{said}");
            }
        }
        // Where a joiner shapes nothing, it is one more character that nobody sees.
        for typed in ["ana@exa\u{200c}mple.org", "ana@exa\u{200d}mple.org", "an\u{200c}a@example.org"] {
            server.anonymous().register(typed).await.assert_problem(422, "invalid-body");
        }
    }

    async fn a_character_that_nobody_sees_is_named_at_sign_in_whoever_has_an_account(server: TestServer) {
        server.anonymous().register("ana@example.org").await.assert_status(201);
        for (inside, says) in [
            ("\u{200b}", "invisible character"),
            ("\u{ad}", "invisible character"),
            ("\u{2060}", "invisible character"),
            ("\u{202e}", "invisible character"),
            ("\u{a0}", "cannot contain spaces"),
            ("\t", "cannot contain spaces"),
        ] {
            let mut answers = Vec::new();
            for name in ["ana", "eve"] {
                let answer = server.anonymous().login(&format!("{name}{inside}@example.org"), PASSWORD).await;
                answer.assert_problem(422, "invalid-body");
                assert_eq!(answer.json().pointer("/errors/0/field"), Some(&json!("email")), "{answer}");
                assert!(answer.text().contains(says), "{inside:?}: {answer}");
                answers.push(without_ids(&answer));
            }
            assert_eq!(answers[0], answers[1], "no account, or one: it is the same");
            // What was copied along at an end does no harm.
            if inside != "\t" {
                let around = format!("{inside}ana@example.org{inside}");
                server.anonymous().login(&around, PASSWORD).await.assert_status(200);
            }
        }
    }
}
