//! Users as administrators find and see them, and what they may be.

use serde_json::{Value, json};

use crate::api::tools::NOBODY;
use crate::support::client::{Admin, PASSWORD, new_email};
use crate::support::process::{command_line, command_line_ok};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

async fn register(server: &TestServer, email: &str, name: Option<&str>) {
    let body = json!({ "email": email, "password": PASSWORD, "name": name });
    server.anonymous().post_json("/register", &body).await.assert_status(201);
}

/// All addresses that a query finds, page by page.
async fn found(admin: &Admin, query: &str, limit: usize) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/admin/users?query={query}&limit={limit}{cursor}")).await;
        let page = page.assert_status(200).json();
        let users = page["users"].as_array().expect("users");
        assert!(users.len() <= limit);
        found.extend(users.iter().map(|user| user["email"].as_str().expect("an address").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
        assert_eq!(users.len(), limit, "only the last page is short");
    }
}

on_each_backend! {
    async fn users_are_found_by_the_beginnings_of_their_names_each_once_and_page_by_page(server: TestServer) {
        let admin = server.admin().await;
        for (email, name) in [
            ("Ana.Silva@mail.example.org", Some("Ána Silva")),
            ("bea@example.net", Some("Bea da Silva Silveira")),
            ("silvester@example.net", None),
            ("carl_sil@example.net", None),
            ("d%@example.net", Some("100% Dora")),
        ] {
            register(&server, email, name).await;
        }
        for (query, expected) in [
            ("SIL", vec!["Ana.Silva@mail.example.org", "bea@example.net", "carl_sil@example.net", "silvester@example.net"]),
            ("silve", vec!["bea@example.net", "silvester@example.net"]),
            ("%40example.net", vec!["bea@example.net", "carl_sil@example.net", "d%@example.net", "silvester@example.net"]),
            ("%C3%A1na+s", vec!["Ana.Silva@mail.example.org"]),
            ("ana.silva%40mail.example.org", vec!["Ana.Silva@mail.example.org"]),
            ("ilva", vec![]),
            ("%25", vec![]),
            ("100%25", vec!["d%@example.net"]),
            ("_", vec![]),
        ] {
            for limit in [1, 2, 50] {
                let mut hits = found(&admin, query, limit).await;
                hits.sort();
                assert_eq!(hits, expected, "{query:?}, {limit} a page");
            }
        }
        let all = found(&admin, "", 2).await;
        assert_eq!(all.len(), 6, "the administrator, too: {all:?}");
        // A name that changes is found by the new one alone.
        let owner = server.anonymous().sign_in("bea@example.net", PASSWORD).await;
        owner.rename(Some("Zoë")).await.assert_status(200);
        assert_eq!(found(&admin, "zo%C3%AB", 50).await, ["bea@example.net"]);
        assert_eq!(found(&admin, "silve", 50).await, ["silvester@example.net"]);
    }

    async fn a_list_refuses_what_means_nothing_and_names_it(server: TestServer) {
        let admin = server.admin().await;
        register(&server, "ana@example.net", None).await;
        let page = admin.get("/admin/users?limit=1").await.json();
        let cursor = page["next_cursor"].as_str().expect("a second page").to_owned();
        register(&server, "anton@example.net", None).await;
        let found = admin.get("/admin/users?query=an&limit=1").await.json();
        let found = found["next_cursor"].as_str().expect("a second page").to_owned();
        for (path, field) in [
            ("/admin/users?limit=0".to_owned(), "limit"),
            ("/admin/users?limit=201".to_owned(), "limit"),
            ("/admin/users?limit=x".to_owned(), "limit"),
            ("/admin/users?limit=%2B7".to_owned(), "limit"),
            ("/admin/sessions?limit=%2B7".to_owned(), "limit"),
            ("/admin/alerts?filter[user]=ana".to_owned(), "filter[user]"),
            ("/admin/alerts?user=7".to_owned(), "user"),
            ("/admin/users?limit=1&limit=2".to_owned(), "limit"),
            ("/admin/users?page=2".to_owned(), "page"),
            ("/admin/users?query=a%00".to_owned(), "query"),
            (format!("/admin/users?query={}", "x".repeat(257)), "query"),
            ("/admin/users?cursor=nonsense".to_owned(), "cursor"),
            ("/admin/users?cursor=YQ%3D%3D".to_owned(), "cursor"),
            ("/admin/users?cursor=".to_owned(), "cursor"),
            (format!("/admin/users?query=ana&cursor={cursor}"), "cursor"),
            (format!("/admin/users?query=b&cursor={found}"), "cursor"),
            (format!("/admin/users?cursor={found}"), "cursor"),
            (format!("/admin/audit?cursor={cursor}"), "cursor"),
            ("/admin/audit?filter[user]=7".to_owned(), "filter[user]"),
            ("/admin/audit?filter[session]=".to_owned(), "filter[session]"),
            ("/admin/audit?filter[event]=nonsense".to_owned(), "filter[event]"),
            ("/admin/audit?filter[actor]=ana".to_owned(), "filter[actor]"),
            ("/admin/audit?filter[after]=yesterday".to_owned(), "filter[after]"),
            ("/admin/audit?filter[before]=2026-13-01T00:00:00Z".to_owned(), "filter[before]"),
            ("/admin/audit?filter[users]=7".to_owned(), "filter[users]"),
        ] {
            let answer = admin.get(&path).await;
            let body = answer.assert_problem(422, "invalid-body").json();
            assert_eq!(body["errors"][0]["field"], field, "{path}: {answer}");
        }
    }

    async fn a_user_is_shown_with_live_sessions_and_with_those_that_are_over(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "1h" } {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let (ended, idle) = (user.sign_in_again().await, user.sign_in_again().await);
        ended.sign_out().await.assert_status(204);
        let path = format!("/admin/users/{}", user.user_id);
        let shown = admin.get(&path).await.assert_status(200).json();
        assert_eq!(shown["user"]["live_sessions"], 2);
        assert_eq!((&shown["user"]["email"], &shown["user"]["disabled_at"]), (&json!(user.email), &Value::Null));
        let sessions = shown["sessions"].as_array().expect("sessions");
        assert_eq!(sessions.len(), 2);
        for session in sessions {
            assert_eq!(session["user_id"], user.user_id.as_str());
            assert_eq!((&session["sign_in_ip"], &session["risk"]), (&json!("127.0.0.1"), &json!(0)));
            for field in ["country", "city", "asn", "network"] {
                assert!(session.get(field).is_some_and(Value::is_null), "{field}: {session}");
            }
        }
        let history = shown["history"].as_array().expect("a history");
        assert_eq!((history.len(), &history[0]["id"]), (1, &json!(ended.session_id)));
        assert_eq!(history[0]["end_reason"], "signed_out");
        assert!(history[0]["ended_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{shown}");
        // Whose time was up is over, too, although nobody ended it.
        server.clock.advance(std::time::Duration::from_secs(1_800));
        assert!(user.is_signed_in().await);
        server.clock.advance(std::time::Duration::from_secs(1_861));
        assert!(user.is_signed_in().await && !idle.is_signed_in().await);
        let again = admin.person().sign_in_again().await;
        let shown = again.get(&path).await.assert_status(200).json();
        let ids = |list: &str| -> Vec<String> {
            let list = shown[list].as_array().expect("a list").iter();
            list.map(|session| format!("{} {}", session["id"].as_str().unwrap_or(""), session["end_reason"])).collect()
        };
        assert_eq!(ids("sessions"), [format!("{} null", user.session_id)]);
        assert_eq!(ids("history"), [format!("{} \"expired\"", idle.session_id), format!("{} \"signed_out\"", ended.session_id)]);
        let text = again.get(&path).await.text();
        for secret in ["token", "hash", "password", &user.token()] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        again.get(&format!("/admin/users/{NOBODY}")).await.assert_problem(404, "not-found");
        again.get("/admin/users/7").await.assert_problem(404, "not-found");
    }

    async fn roles_are_put_as_a_whole_and_end_the_sessions(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let path = format!("/admin/users/{}/roles", user.user_id);
        admin.put_json(&path, &json!({ "roles": [] })).await.assert_status(204);
        assert!(user.is_signed_in().await, "nothing has changed");
        for _ in 0..2 {
            admin.put_json(&path, &json!({ "roles": ["admin"] })).await.assert_status(204);
            assert!(!user.is_signed_in().await);
        }
        let again = user.sign_in_again().await;
        assert_eq!(again.me().await.json().pointer("/user/roles"), Some(&json!(["user", "admin"])));
        let lines = format!("event = 'authz_change' AND user_id = '{}'", user.user_id);
        assert_eq!(server.stores.database.count("audit", &lines), 1, "again is no news");
        let said = format!("{lines} AND detail = 'user -> user admin'");
        assert_eq!(server.stores.database.count("audit", &said), 1, "what they were, and what they are");
        for bad in [json!({ "roles": ["root"] }), json!({ "roles": "admin" }), json!({}), json!({ "roles": [], "x": 1 })] {
            let answer = admin.put_json(&path, &bad).await;
            assert!([400, 422].contains(&answer.status), "{bad}: {answer}");
            answer.assert_problem(answer.status, "invalid-body");
        }
        let nobody = format!("/admin/users/{NOBODY}/roles");
        admin.put_json(&nobody, &json!({ "roles": [] })).await.assert_problem(404, "not-found");
    }

    async fn the_last_administrator_stays_one(server: TestServer) {
        let admin = server.admin().await;
        let me = format!("/admin/users/{}", admin.person().user_id);
        let three = async |admin: &Admin, path: &str| {
            vec![
                admin.put_json(&format!("{path}/roles"), &json!({ "roles": ["user"] })).await,
                admin.post(&format!("{path}/disable")).await,
                admin.delete(path).await,
            ]
        };
        for answer in three(&admin, &me).await {
            answer.assert_problem(409, "last-administrator");
        }
        // One who may not sign in is none.
        let other = server.admin().await;
        admin.disable(&other.person().user_id).await.assert_status(204);
        for answer in three(&admin, &me).await {
            answer.assert_problem(409, "last-administrator");
        }
        assert!(admin.person().is_signed_in().await);
        admin.enable(&other.person().user_id).await.assert_status(204);
        admin.post(&format!("{me}/disable")).await.assert_status(204);
        assert!(!admin.person().is_signed_in().await, "with another one, it is as anybody's");
    }

    async fn the_command_line_unseats_the_last_administrator_only_by_force(server: TestServer) {
        let admin = server.admin().await;
        let (settings, email) = (&server.settings, admin.person().email.as_str());
        for command in [vec!["user", "disable", email], vec!["user", "delete", email], vec!["user", "revoke-role", email, "admin"]] {
            let refused = command_line(settings, &command, "");
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(refused.status.code() == Some(1) && said.contains("use --force"), "{command:?}: {said}");
            assert!(admin.person().is_signed_in().await && admin.get("/admin/users").await.status == 200, "{command:?}");
        }
        // Not the last one: no force is needed. The last one again: with force it is as asked.
        let other = server.admin().await;
        command_line_ok(settings, &["user", "disable", &other.person().email], "");
        command_line_ok(settings, &["user", "revoke-role", email, "admin", "--force"], "");
        assert!(!admin.person().is_signed_in().await);
        assert_eq!(server.stores.database.count("users", "roles LIKE '%admin%' AND disabled_at IS NULL"), 0);
        command_line_ok(settings, &["user", "grant", email, "admin"], "");
        command_line_ok(settings, &["user", "delete", email, "--force"], "");
    }

    async fn what_is_about_nobody_is_not_found(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let path = format!("/admin/users/{}/sessions", user.user_id);
        admin.get(&path).await.assert_status(200);
        admin.delete(&format!("/admin/users/{}", user.user_id)).await.assert_status(204);
        for path in [path, format!("/admin/users/{NOBODY}/sessions")] {
            admin.get(&path).await.assert_problem(404, "not-found");
        }
        for roles in [json!(["root"]), json!(["admin", "root"]), json!("admin"), json!([7]), json!(null), json!({})] {
            let path = format!("/admin/users/{}/roles", admin.person().user_id);
            let answer = admin.put_json(&path, &json!({ "roles": roles })).await;
            let body = answer.assert_problem(422, "invalid-body").json();
            assert_eq!(body["errors"][0]["field"], "roles", "{roles}: {answer}");
        }
    }

    /// Two administrators who take each other's role away at the same time: one of them has it afterwards.
    async fn two_administrators_do_not_unseat_each_other(server: TestServer) {
        for round in 0..rounds() {
            let admins = [server.admin().await, server.admin().await];
            let put = |by: usize, whom: usize| {
                let path = format!("/admin/users/{}/roles", admins[whom].person().user_id);
                let by = admins[by].person().copy_at(&server.url());
                async move { by.put_json(&path, &json!({ "roles": [] })).await.status }
            };
            // Themselves and each other.
            let (a, b, c, d) = tokio::join!(put(0, 0), put(1, 1), put(0, 1), put(1, 0));
            let left = server.stores.database.count("users", "roles LIKE '%admin%' AND disabled_at IS NULL");
            assert_eq!(left, 1, "round {round}: {a} {b} {c} {d}");
            server.stores.database.execute("UPDATE users SET roles = 'user' WHERE roles <> 'user'");
        }
    }
}

/// Two hundred with SESSIOND_TEST_SOAK.
fn rounds() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 200 } else { 2 }
}

#[tokio::test]
async fn the_command_line_lists_whom_a_query_finds() {
    use crate::support::server::Backend;
    let server = TestServer::start(Backend::Embedded).await;
    let email = new_email();
    register(&server, &email, Some("Ána Lía")).await;
    let listed = command_line_ok(&server.settings, &["user", "list", "--query", "ÁNA", "--json"], "");
    let row: Value = serde_json::from_str(listed.trim()).expect("one line");
    assert_eq!((&row["email"], &row["disabled_at"], &row["live_sessions"]), (&json!(email), &Value::Null, &json!(0)));
    assert!(command_line_ok(&server.settings, &["user", "list", "--query", "bea"], "").contains("No account matches"));
    let id = row["id"].as_str().expect("an id");
    let did = command_line_ok(&server.settings, &["user", "disable", id, "--json"], "");
    assert_eq!(
        serde_json::from_str::<Value>(&did).expect("JSON"),
        json!({ "user_id": id, "email": email, "revoked": 0 })
    );
    command_line_ok(&server.settings, &["user", "grant", &email, "admin", "--json"], "");
    command_line_ok(&server.settings, &["user", "revoke-role", &email, "admin"], "");
    let lines = command_line_ok(&server.settings, &["audit", "list", "--user", &email, "--json"], "");
    let events: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["event"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(events, ["authz_change", "authz_change", "user_disabled", "user_created"]);
    let one = ["audit", "list", "--user", id, "--event", "user_disabled", "--since", "1h"];
    assert_eq!(command_line_ok(&server.settings, &one, "").lines().count(), 2, "a head and a line");
    let wrong = command_line(&server.settings, &["audit", "list", "--event", "nonsense"], "");
    assert_eq!(wrong.status.code(), Some(2));
    let by = ["audit", "list", "--actor", "command line", "--user", id, "--until", "2200-01-01T00:00:00Z", "--json"];
    assert_eq!(command_line_ok(&server.settings, &by, "").lines().count(), 3);
    for nothing in [["--until", "1h"], ["--actor", id], ["--session", id]] {
        let command = [["audit", "list", "--user", id].as_slice(), &nothing].concat();
        assert_eq!(command_line_ok(&server.settings, &command, ""), "No line matches.\n", "{nothing:?}");
    }
    for wrong in [["--until", "soon"], ["--session", "7"]] {
        let command = [["audit", "list"].as_slice(), &wrong].concat();
        assert_eq!(command_line(&server.settings, &command, "").status.code(), Some(2), "{wrong:?}");
    }
    command_line_ok(&server.settings, &["user", "delete", &email], "");
    command_line_ok(&server.settings, &["user", "delete", id], "");
    assert!(!command_line(&server.settings, &["user", "enable", id], "").status.success(), "it is gone");
}
