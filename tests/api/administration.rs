//! Administrators: who is one, what they can do, and how many sessions anybody may have.

use serde_json::json;

use crate::api::tools::{NOBODY, fingerprint};
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::hash_cost;
use crate::support::process::{command_line, command_line_ok};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

fn audited(server: &TestServer, event: &str, user: &SignedIn) -> usize {
    server.stores.database.count("audit", &format!("event = '{event}' AND user_id = '{}'", user.user_id))
}

on_each_backend! {
    async fn a_disabled_account_is_out_at_once_and_enabling_revives_nothing(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let other = server.issue(&user).await;
        assert!(user.is_signed_in().await && other.is_signed_in().await);
        for _ in 0..2 {
            admin.disable(&user.user_id).await.assert_status(204);
            assert!(!user.is_signed_in().await && !other.is_signed_in().await);
        }
        assert_eq!(audited(&server, "user_disabled", &user), 1, "again is no news");
        let visitor = server.anonymous();
        visitor.login(&user.email, PASSWORD).await.assert_problem(401, "wrong-credentials");
        for _ in 0..2 {
            admin.enable(&user.user_id).await.assert_status(204);
        }
        assert!(!user.is_signed_in().await && !other.is_signed_in().await, "sessions stay ended");
        assert_eq!(audited(&server, "user_enabled", &user), 1);
        visitor.login(&user.email, PASSWORD).await.assert_status(200);
        assert!(admin.person().is_signed_in().await);
    }

    /// Whoever knows the password of an account that was taken over is out until its owner has set a new one.
    async fn a_locked_account_is_opened_by_a_new_password_alone(server: TestServer) {
        hash_cost::full();
        let (owner, bystander) = (server.signed_in().await, server.signed_in().await);
        let old_link = server.reset_token(&owner.email);
        let visitor = server.anonymous();
        for _ in 0..2 {
            command_line_ok(&server.settings, &["user", "lock", &owner.email], "");
            assert!(!owner.is_signed_in().await && bystander.is_signed_in().await);
        }
        assert_eq!(audited(&server, "user_locked", &owner), 1, "again is no news");
        let before = server.node().app().sign_in.hashing().computed;
        visitor.login(&owner.email, PASSWORD).await.assert_problem(401, "wrong-credentials");
        assert_eq!(server.node().app().sign_in.hashing().computed, before + 1, "it costs what a wrong password costs");
        let dead = json!({ "token": old_link, "new_password": "another four plain words" });
        visitor.post_json("/reset", &dead).await.assert_status(422);
        let list = command_line_ok(&server.settings, &["user", "list", "--query", &owner.email], "");
        assert!(list.contains("locked"), "{list}");

        let token = server.reset_token(&owner.email);
        visitor.login(&owner.email, PASSWORD).await.assert_status(401);
        let new = json!({ "token": token, "new_password": "another four plain words" });
        visitor.post_json("/reset", &new).await.assert_status(204);
        visitor.login(&owner.email, PASSWORD).await.assert_status(401);
        visitor.login(&owner.email, "another four plain words").await.assert_status(200);
        let list = command_line_ok(&server.settings, &["user", "list", "--query", &owner.email], "");
        assert!(list.contains("active"), "{list}");
    }

    async fn a_link_for_a_lost_password_says_what_still_opens_the_account(server: TestServer) {
        let (admin, owner) = (server.admin().await, server.signed_in().await);
        let visitor = server.anonymous();
        let said = command_line_ok(&server.settings, &["user", "reset", &owner.email], "");
        assert!(said.contains("the old password still works (see --lock)"), "{said}");
        visitor.login(&owner.email, PASSWORD).await.assert_status(200);
        let said = command_line_ok(&server.settings, &["user", "reset", &owner.email, "--lock"], "");
        assert!(said.contains("/reset#") && said.contains("no password works"), "{said}");
        visitor.login(&owner.email, PASSWORD).await.assert_status(401);

        admin.disable(&owner.user_id).await.assert_status(204);
        let refused = command_line(&server.settings, &["user", "reset", &owner.email], "");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains("is disabled, so a link would not work"), "{said}");
        assert!(refused.stdout.is_empty());

        // Nobody could administer any more, unless it is said.
        let last = command_line(&server.settings, &["user", "lock", &admin.person().user_id], "");
        assert_eq!(last.status.code(), Some(1));
        assert!(admin.person().is_signed_in().await);
    }

    async fn only_administrators_may(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let target = server.signed_in().await;
        let before = fingerprint(&server.stores.database);
        for action in ["disable", "enable"] {
            let path = format!("/admin/users/{}/{action}", target.user_id);
            server.anonymous().post(&path).await.assert_problem(401, "unauthenticated");
            user.post(&path).await.assert_problem(403, "forbidden");
            // Whether there is such a user is not for everybody to know.
            user.post(&format!("/admin/users/{NOBODY}/{action}")).await.assert_problem(403, "forbidden");
            admin.post(&format!("/admin/users/{NOBODY}/{action}")).await.assert_problem(404, "not-found");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(target.is_signed_in().await);
    }

    async fn the_role_is_read_fresh_for_each_request(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        admin.enable(&user.user_id).await.assert_status(204);
        // Behind sessiond's back: no session ends, so that only the role can make the difference.
        let set = |roles: &str| {
            let sql = format!("UPDATE users SET roles = '{roles}' WHERE id = '{}'", admin.person().user_id);
            server.stores.database.execute(&sql);
        };
        set("user");
        admin.enable(&user.user_id).await.assert_problem(403, "forbidden");
        assert_eq!(admin.person().me().await.json().pointer("/user/roles"), Some(&json!(["user"])));
        set("user admin");
        admin.enable(&user.user_id).await.assert_status(204);
    }

    async fn a_change_of_roles_ends_the_sessions(server: TestServer) {
        let user = server.signed_in().await;
        let other = server.issue(&user).await;
        for (command, roles) in [("grant", json!(["user", "admin"])), ("revoke", json!(["user"]))] {
            let session = user.sign_in_again().await;
            assert!(session.is_signed_in().await);
            // Nobody else has the role.
            let force = (command == "revoke").then_some("--force");
            let line: Vec<_> = ["user", command, &user.email, "admin"].into_iter().chain(force).collect();
            command_line_ok(&server.settings, &line, "");
            assert!(!session.is_signed_in().await && !user.is_signed_in().await && !other.is_signed_in().await);
            let again = user.sign_in_again().await;
            assert_eq!(again.me().await.json().pointer("/user/roles"), Some(&roles));
            let expected = if command == "grant" { 204 } else { 403 };
            again.post(&format!("/admin/users/{}/enable", user.user_id)).await.assert_status(expected);
        }
    }

    async fn a_command_says_what_is_missing_and_what_there_was_to_do(server: TestServer) {
        let user = server.signed_in().await;
        for (line, words) in [
            (&["audit", "list", "--limit", "+3"][..], "a number of at least 1"),
            (&["audit", "list", "--limit", "0"], "a number of at least 1"),
            (&["sessions", "revoke"], "Say which sessions: an id, a filter (--user, --ip, --country…) or --all."),
            (&["sessions", "revoke", "--dry-run"], "Say which sessions"),
        ] {
            let output = command_line(&server.settings, line, "");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{line:?}: {said}");
            assert!(said.contains(words), "{line:?}: {said}");
        }
        let said = command_line_ok(&server.settings, &["user", "revoke-role", &user.email, "admin"], "");
        assert_eq!(said.trim(), format!("{} did not have the role admin: nothing has changed.", user.email));
        assert!(user.is_signed_in().await);
    }

    async fn the_command_line_disables_enables_and_ends_sessions(server: TestServer) {
        let user = server.signed_in().await;
        let other = server.issue(&user).await;
        command_line_ok(&server.settings, &["sessions", "revoke", &other.session_id], "");
        assert!(!other.is_signed_in().await && user.is_signed_in().await);
        // Again is no error, and a program is told so, too.
        let said = command_line_ok(&server.settings, &["sessions", "revoke", &other.session_id, "--json"], "");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&said).expect("JSON"), json!({ "ended": other.session_id }));
        let begun = ["audit", "list", "--session", &other.session_id, "--event", "session_revoked"];
        assert_eq!(command_line_ok(&server.settings, &begun, "").lines().count(), 2, "a head and a line");
        command_line_ok(&server.settings, &["user", "disable", &user.email], "");
        assert!(!user.is_signed_in().await);
        server.anonymous().login(&user.email, PASSWORD).await.assert_problem(401, "wrong-credentials");
        command_line_ok(&server.settings, &["user", "enable", &user.email], "");
        server.anonymous().login(&user.email, PASSWORD).await.assert_status(200);
    }

    async fn at_the_limit_the_oldest_session_makes_room(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "2" } {
        let first = server.signed_in().await;
        let second = first.sign_in_again().await;
        assert!(first.is_signed_in().await && second.is_signed_in().await);
        let third = first.sign_in_again().await;
        assert!(!first.is_signed_in().await, "the oldest");
        assert!(second.is_signed_in().await && third.is_signed_in().await);
        // A sign-in with a cookie takes its own place and nobody else's.
        third.post_json("/login", &json!({ "email": first.email, "password": PASSWORD })).await.assert_status(200);
        assert!(second.is_signed_in().await && third.is_signed_in().await);
        assert_eq!(second.sessions().await.len(), 2);
        assert_eq!(server.stores.database.count("sessions", "end_reason = 'evicted'"), 1);
    }

    async fn at_the_limit_a_sign_in_is_refused_where_the_operator_wants_that(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "2", "SESSIOND_MAX_SESSIONS_POLICY": "refuse" } {
        let first = server.signed_in().await;
        let second = first.sign_in_again().await;
        let visitor = server.anonymous();
        let answer = visitor.login(&first.email, PASSWORD).await;
        assert!(answer.assert_problem(409, "too-many-sessions").set_cookies().is_empty(), "{answer}");
        visitor.login(&first.email, "another password").await.assert_problem(401, "wrong-credentials");
        assert!(first.is_signed_in().await && second.is_signed_in().await);
        second.post_json("/login", &json!({ "email": first.email, "password": PASSWORD })).await.assert_status(200);
        first.sign_out().await.assert_status(204);
        visitor.login(&first.email, PASSWORD).await.assert_status(200);
        assert_eq!(server.stores.database.count("sessions", "ended_at IS NULL"), 2);
    }
}
