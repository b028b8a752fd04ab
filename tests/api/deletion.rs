//! Deleting an account: its sessions end, then all that is personal about it goes, and the address is free.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::client::PASSWORD;
use crate::support::database::Database;
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0 Peculiar/7";

/// What a session's row keeps when its account is deleted: that there was one, when, and why it ended.
const STAYS: [&str; 14] = [
    "id",
    "user_id",
    "token_hash",
    "created_at",
    "authenticated_at",
    "last_seen_at",
    "expires_at",
    "idle_seconds",
    "remember",
    "ended_at",
    "end_reason",
    "challenged_at",
    // Empty, but not null.
    "sign_in_ip",
    "last_ip",
];

/// The columns of a session's row that are about the person, and how many rows have something in each.
fn personal(database: &Database, user: &str) -> Vec<(String, usize)> {
    let columns = match database {
        Database::Sqlite(_) => database.values("SELECT name AS value FROM pragma_table_info('sessions')"),
        #[cfg(feature = "postgres")]
        Database::Postgres(_) => database.values(
            "SELECT CAST(column_name AS TEXT) AS value FROM information_schema.columns WHERE table_name = 'sessions'",
        ),
    };
    let columns = columns.into_iter().flatten().filter(|column| !STAYS.contains(&column.as_str()));
    columns
        .map(|column| {
            let filled = format!("CAST({column} AS TEXT) NOT IN ('', '0') AND user_id = '{user}'");
            let rows = database.count("sessions", &filled);
            (column, rows)
        })
        .collect()
}

on_each_backend! {
    async fn a_deleted_account_leaves_its_id_and_nothing_else(server: TestServer)
    with { "SESSIOND_TRUSTED_PROXIES": "127.0.0.1", "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For" } {
        let admin = server.admin().await;
        let from = "203.0.113.77";
        let visitor = server.anonymous();
        let email = "peculiar.person@mail.example.org";
        let call = |path: &str| visitor.change(Method::POST, path).header("X-Forwarded-For", from).header("User-Agent", USER_AGENT);
        let account = json!({ "email": email, "password": PASSWORD, "name": "Peculiar Person" });
        call("/register").json(&account).send().await.assert_status(201);
        let answer = call("/login").json(&json!({ "email": email, "password": PASSWORD })).send().await;
        answer.assert_status(200);
        let wrong = call("/login").json(&json!({ "email": email, "password": "a wrong one" })).send().await;
        wrong.assert_status(401);
        let user = visitor.into_signed_in(email, PASSWORD, &answer);
        let other = user.sign_in_again().await;
        other.call(Method::GET, "/me").header("User-Agent", "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0").send().await;
        assert!(user.is_signed_in().await && other.is_signed_in().await);
        server.stores.database.execute(&format!(
            "UPDATE sessions SET country = 'PT', city = 'Peculiar City', asn = 7, network = 'Peculiar', latitude = 1, longitude = 1, \
             last_country = 'PT', last_city = 'Peculiar City', last_asn = 7, last_network = 'Peculiar', data = '{{}}', risk = 7, actor = 'admin:x A peculiar reason' \
             WHERE user_id = '{}'",
            user.user_id
        ));
        let known = personal(&server.stores.database, &user.user_id);
        assert!(known.len() >= 17 && known.iter().all(|(_, rows)| *rows > 0), "fill it above, or say that it stays: {known:?}");
        let path = format!("/admin/users/{}", user.user_id);
        let filter = json!({ "filter": { "user": user.user_id, "ip": from, "os": "Peculiar" } });
        admin.post_json("/admin/sessions/revoke", &filter).await.assert_status(200);
        // What was refused is written within a second.
        server.until_audited("authn_login_fail", 1).await;
        for _ in 0..2 {
            admin.delete(&path).await.assert_status(204);
            assert!(!user.is_signed_in().await && !other.is_signed_in().await, "at once");
        }
        let dump = server.stores.database.dump_text().to_lowercase();
        for personal in ["peculiar", from, &hex("peculiar").to_lowercase(), "chrome"] {
            assert!(!dump.contains(personal), "{personal:?} is left: {}", around(&dump, personal));
        }
        let left = personal(&server.stores.database, &user.user_id);
        assert!(left.iter().all(|(_, rows)| *rows == 0), "{left:?}");
        // The ledger goes on knowing that they have ended, and the audit log whom it was about.
        let rows = |table: &str, condition: &str| server.stores.database.count(table, &format!("{condition} AND user_id = '{}'", user.user_id));
        assert_eq!(rows("sessions", "ended_at IS NOT NULL AND end_reason = 'user_deleted'"), 2);
        assert_eq!(rows("audit", "event = 'user_deleted'"), 1);
        let filters = format!("event = 'sessions_revoked_by_filter' AND detail = 'user={}'", user.user_id);
        assert_eq!(rows("audit", &filters), 1, "that there was a filter for this account, and no more of it");
        admin.delete(&format!("{path}/sessions")).await.assert_problem(404, "not-found");
        assert_eq!(rows("audit", "event = 'session_revoked' AND detail = 'user_deleted'"), 2);
        assert_eq!(rows("audit", "event = 'user_deleted' AND ip = '127.0.0.1'"), 1, "where the administrator was");
        admin.get(&path).await.assert_problem(404, "not-found");
        admin.enable(&user.user_id).await.assert_problem(404, "not-found");
        assert!(!admin.get("/admin/users").await.text().contains(&user.user_id));
        assert!(!admin.get("/admin/users?query=pec").await.text().contains(&user.user_id));
        // As if there had never been one.
        let unknown = server.anonymous().login("nobody.at.all@example.org", PASSWORD).await;
        let deleted = server.anonymous().login(email, PASSWORD).await;
        assert_eq!(crate::api::tools::without_ids(&deleted), crate::api::tools::without_ids(&unknown));
        let by_key = server.anonymous().login(&format!("deleted {}", user.user_id), PASSWORD).await;
        by_key.assert_problem(401, "wrong-credentials");
        server.anonymous().post_json("/register", &account).await.assert_status(201);
        let new = server.anonymous().sign_in(email, PASSWORD).await;
        assert_ne!(new.user_id, user.user_id);
        assert!(!user.is_signed_in().await && new.is_signed_in().await);
    }
}

on_each_backend! {
    /// A refusal is written a moment after it, a count when its minute is over, and another node's clock is another one: so a
    /// line may come when its account is gone. The nodes look for such lines for some minutes.
    async fn a_line_that_comes_after_the_deletion_is_erased_too(server: TestServer)
    with { "SESSIOND_TRUSTED_PROXIES": "127.0.0.1", "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For" } {
        let (admin, user, from) = (server.admin().await, server.signed_in().await, "203.0.113.78");
        let visitor = server.anonymous();
        let wrong = visitor.change(Method::POST, "/login").header("X-Forwarded-For", from);
        let wrong = wrong.json(&json!({ "email": user.email, "password": "a wrong one" })).send();
        wrong.await.assert_status(401);
        admin.delete(&format!("/admin/users/{}", user.user_id)).await.assert_status(204);
        server.until_audited("authn_login_fail", 1).await;
        // What another node knew, which is slower.
        server.stores.database.execute(&format!(
            "INSERT INTO audit (id, at, event, actor, user_id, ip, detail) VALUES
             ('{late}1', 0, 'authn_login_fail', 'anonymous', '{id}', '{from}', NULL),
             ('{late}2', 0, 'session_device_changed', 'server', '{id}', '{from}', 'Chrome on Windows'),
             ('{late}3', 0, 'csrf_fail', '{id}', NULL, '{from}', NULL)",
            late = "01a2045c-7661-7b36-9544-fe9516db423", id = user.user_id
        ));
        let left = async || server.stores.database.count("audit", &format!("ip = '{from}' OR detail LIKE 'Chrome%'"));
        let finished = async || server.stores.database.count("users", "erased_at IS NOT NULL") == 1;
        assert!(!finished().await, "it will be looked at again");
        server.clock.advance(Duration::from_secs(601));
        until("late lines are erased", PATIENCE, async || left().await == 0 && finished().await).await;
        let named = format!("user_id = '{0}' OR actor = '{0}'", user.user_id);
        assert!(server.stores.database.count("audit", &named) >= 6, "the lines stay, with the id alone");
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

fn around(dump: &str, what: &str) -> String {
    let at = dump.find(what).unwrap_or_default();
    dump.chars().skip(at.saturating_sub(150)).take(300).collect()
}
