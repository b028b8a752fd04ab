//! Passwords: changing one's own, one-time links, and being remembered.

use std::time::Duration;

use serde_json::json;

use crate::api::tools::{fingerprint, only_cookie};
use crate::support::client::{COOKIE, PASSWORD};
use crate::support::process::command_line_ok;
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;

const NEW: &str = "a wholly different password";

on_each_backend! {
    async fn a_new_password_ends_the_others_and_renews_this_session(server: TestServer) {
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        let link = server.reset_token(&owner.email);
        let before = owner.copy_at(&server.url());
        assert!(before.is_signed_in().await && other.is_signed_in().await);

        let answer = owner.change_password(PASSWORD, NEW).await;
        answer.assert_status(200);
        assert_eq!(answer.json().pointer("/session/id"), Some(&json!(owner.session_id)), "the same session");
        assert!(!only_cookie(&answer).contains("Max-Age"), "{answer}");
        assert_ne!(owner.cookie(), before.cookie());
        assert!(owner.is_signed_in().await, "with the new token");
        assert!(!before.is_signed_in().await, "the old token is dead");
        assert!(!other.is_signed_in().await);

        let stranger = server.anonymous();
        stranger.login(&owner.email, PASSWORD).await.assert_problem(401, "wrong-credentials");
        let body = json!({ "token": link, "new_password": "set by an old link" });
        stranger.post_json("/reset", &body).await.assert_problem(422, "invalid-body");
        stranger.login(&owner.email, NEW).await.assert_status(200);
        // The dead token still names the session that it was: signing out with it ends it.
        before.sign_out().await.assert_status(204);
        assert!(!owner.is_signed_in().await);
    }

    async fn a_password_that_is_not_changed_changes_nothing(server: TestServer) {
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        let before = fingerprint(&server.stores.database);
        owner.change_password("not my password", NEW).await.assert_problem(403, "wrong-password");
        owner.change_password(PASSWORD, "short").await.assert_problem(422, "invalid-body");
        owner.change_password(PASSWORD, &"x".repeat(257)).await.assert_problem(422, "invalid-body");
        let missing = json!({ "new_password": NEW });
        owner.put_json("/me/password", &missing).await.assert_problem(422, "invalid-body");
        let whole = json!({ "current_password": PASSWORD, "new_password": NEW });
        server.anonymous().put_json("/me/password", &whole).await.assert_problem(401, "unauthenticated");
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(owner.is_signed_in().await && other.is_signed_in().await);
    }

    async fn passwords_are_taken_as_they_are_typed(server: TestServer) {
        let visitor = server.anonymous();
        // Composed and decomposed are one password; case, spaces and length are not cut.
        for (number, (typed, same, others)) in [
            ("pässwörd 🦀\u{7}", "pa\u{308}sswo\u{308}rd 🦀\u{7}", vec!["Pässwörd 🦀\u{7}", "pässwörd 🦀", "passwörd 🦀\u{7}"]),
            ("  spaces around  ", "  spaces around  ", vec!["spaces around", "  spaces around"]),
        ]
        .into_iter()
        .enumerate()
        {
            let email = format!("typed-{number}@example.org");
            visitor.register_as(&email, typed).await.assert_status(201);
            server.anonymous().login(&email, same).await.assert_status(200);
            for other in others {
                visitor.login(&email, other).await.assert_problem(401, "wrong-credentials");
            }
        }
        let long: String = "violet tram sings over cold rivers; ".chars().cycle().take(255).collect();
        visitor.register_as("long@example.org", &format!("{long}a")).await.assert_status(201);
        visitor.login("long@example.org", &format!("{long}b")).await.assert_problem(401, "wrong-credentials");
        visitor.register_as("short@example.org", "1234567").await.assert_problem(422, "invalid-body");
        assert_eq!(server.stores.database.count("users", "1 = 1"), 3);
    }

    async fn a_one_time_link_sets_a_password_once_and_ends_every_session(server: TestServer) {
        let owner = server.signed_in().await;
        let (older, newer) = (server.reset_token(&owner.email), server.reset_token(&owner.email));
        assert!(owner.is_signed_in().await, "a link alone changes nothing");
        let visitor = server.anonymous();
        let reset = async |token: &str, password: &str| {
            visitor.post_json("/reset", &json!({ "token": token, "new_password": password })).await
        };
        reset(&older, NEW).await.assert_problem(422, "invalid-body");
        reset("nonsense", NEW).await.assert_problem(422, "invalid-body");
        reset(&newer, "short").await.assert_problem(422, "invalid-body");
        assert!(owner.is_signed_in().await);
        let answer = reset(&newer, NEW).await;
        assert!(answer.assert_status(204).set_cookies().is_empty(), "nobody is signed in by it: {answer}");
        assert!(!owner.is_signed_in().await);
        reset(&newer, "once more, with feeling").await.assert_problem(422, "invalid-body");
        visitor.login(&owner.email, PASSWORD).await.assert_problem(401, "wrong-credentials");
        visitor.login(&owner.email, NEW).await.assert_status(200);
    }

    async fn a_link_is_good_for_an_hour_and_not_for_a_disabled_account(server: TestServer) {
        let owner = server.signed_in().await;
        let visitor = server.anonymous();
        let reset = async |token: String| visitor.post_json("/reset", &json!({ "token": token, "new_password": NEW })).await;
        let link = server.reset_token(&owner.email);
        server.clock.advance(Duration::from_secs(3_601));
        reset(link).await.assert_problem(422, "invalid-body");
        server.clock.rewind(Duration::from_secs(3_601));
        let link = server.reset_token(&owner.email);
        command_line_ok(&server.settings, &["user", "disable", &owner.email], "");
        let before = fingerprint(&server.stores.database);
        reset(link).await.assert_problem(422, "invalid-body");
        assert_eq!(fingerprint(&server.stores.database), before);
    }

    async fn a_link_ends_with_whatever_ends_all_sessions(server: TestServer) {
        let command = |words: &[&str]| drop(command_line_ok(&server.settings, words, ""));
        for what in ["disabled and enabled", "role", "signed out elsewhere", "new password", "deleted"] {
            let owner = server.signed_in().await;
            let link = server.reset_token(&owner.email);
            match what {
                "disabled and enabled" => {
                    command(&["user", "disable", &owner.email]);
                    command(&["user", "enable", &owner.email]);
                }
                "role" => command(&["user", "grant", &owner.email, "admin"]),
                "signed out elsewhere" => drop(owner.end_all().await.assert_status(200)),
                "new password" => drop(owner.change_password(PASSWORD, NEW).await.assert_status(200)),
                _ => {
                    command(&["user", "delete", &owner.email]);
                    server.anonymous().register(&owner.email).await.assert_status(201);
                }
            }
            let body = json!({ "token": link, "new_password": "set by an old link" });
            let answer = server.anonymous().post_json("/reset", &body).await;
            assert_eq!(answer.status, 422, "{what}: {answer}");
            let left = format!("user_id = '{}'", owner.user_id);
            assert_eq!(server.stores.database.count("password_resets", &left), 0, "{what}");
        }
    }

    async fn who_is_remembered_gets_a_cookie_that_lasts_and_longer_deadlines(server: TestServer) {
        let owner = server.signed_in().await;
        let visitor = server.anonymous();
        let body = json!({ "email": owner.email, "password": PASSWORD, "remember": true });
        let answer = visitor.post_json("/login", &body).await;
        let line = only_cookie(answer.assert_status(200));
        assert!(line.starts_with(COOKIE) && line.ends_with("; Max-Age=2592000"), "thirty days: {line}");
        assert_eq!(answer.json().pointer("/session/remember"), Some(&json!(true)));
        let there = visitor.into_signed_in(&owner.email, PASSWORD, &answer);
        // What is left of the thirty days goes along with a new token.
        server.clock.advance(Duration::from_secs(10 * 86_400));
        assert!(there.is_signed_in().await && !owner.is_signed_in().await, "only one of them was remembered");
        let answer = there.change_password(PASSWORD, NEW).await;
        let line = only_cookie(answer.assert_status(200));
        let age: u64 = line.rsplit("Max-Age=").next().and_then(|age| age.parse().ok()).expect("a Max-Age");
        assert!((20 * 86_400 - 60..=20 * 86_400).contains(&age), "{line}");
        assert!(there.is_signed_in().await);
    }
}
