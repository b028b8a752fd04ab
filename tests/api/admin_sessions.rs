//! Administrators find sessions, whoever's they are, and end them: one, all of a user, all that fit a filter.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::tools::{NOBODY, fingerprint, set_clock};
use crate::support::client::{Admin, PASSWORD};
use crate::support::process::{command_line, command_line_ok};
use crate::support::requests::{Requests, Response};
use crate::support::server::{TestServer, on_each_backend};

const FINDING: [&str; 2] = ["/admin/sessions", "/admin/users/ID/sessions"];

fn ids(answer: &Response) -> Vec<String> {
    let sessions = answer.assert_status(200).json()["sessions"].as_array().cloned().expect("sessions");
    sessions.iter().map(|session| session["id"].as_str().expect("an id").to_owned()).collect()
}

async fn found(admin: &Admin, query: &str) -> Vec<String> {
    ids(&admin.get(&format!("/admin/sessions{query}")).await)
}

async fn revoke(admin: &Admin, body: &Value) -> Response {
    admin.post_json("/admin/sessions/revoke", body).await
}

fn outcome(answer: &Response) -> (u64, u64, u64, bool) {
    let body = answer.assert_status(200).json();
    let number = |name: &str| body[name].as_u64().expect("a number");
    (number("matched"), number("revoked"), number("unconfirmed"), body["more"].as_bool().expect("yes or no"))
}

fn set(server: &TestServer, session: &str, columns: &str) {
    server.stores.database.execute(&format!("UPDATE sessions SET {columns} WHERE id = '{session}'"));
}

fn ago(server: &TestServer, by: Duration) -> String {
    server.node().app().core.clock().now().minus(by).to_rfc3339()
}

on_each_backend! {
    async fn what_is_found_is_shown_with_where_it_is_from(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        set(&server, &user.session_id, "country = 'PT', city = 'Lisbon', asn = 64496, network = 'Example', risk = 30");
        let answer = admin.get("/admin/sessions?filter[country]=pt").await;
        let body = answer.assert_status(200).json();
        let session = &body["sessions"][0];
        for (field, value) in [
            ("id", json!(user.session_id)), ("user_id", json!(user.user_id)), ("user_email", json!(user.email)),
            ("country", json!("PT")), ("city", json!("Lisbon")), ("location", json!("Lisbon, PT")),
            ("asn", json!(64_496)), ("network", json!("Example")), ("risk", json!(30)), ("current", json!(false)),
            ("ip", json!("127.0.0.1")), ("sign_in_ip", json!("127.0.0.1")),
        ] {
            assert_eq!(session[field], value, "{field}: {answer}");
        }
        assert!(body["next_cursor"].is_null() && body["sessions"][1].is_null(), "{answer}");
        let of_user = admin.get(&format!("/admin/users/{}/sessions", user.user_id)).await;
        assert_eq!(ids(&of_user), [user.session_id.as_str()]);
        assert!(of_user.json()["sessions"][0].get("user_email").is_none(), "{of_user}");
        // A session that has ended, or rested too long, is not alive.
        user.sign_out().await.assert_status(204);
        assert!(found(&admin, "?filter[country]=PT").await.is_empty());
        assert_eq!(found(&admin, "").await, [admin.person().session_id.clone()]);
    }

    async fn pages_follow_one_another_from_the_newest(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let mut expected = vec![user.session_id.clone()];
        for _ in 0..6 {
            expected.insert(0, server.issue(&user).await.session_id);
        }
        expected.sort_unstable_by(|a, b| b.cmp(a));
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/admin/sessions?filter[user]={}&limit=3{cursor}", user.user_id);
            let answer = admin.get(&path).await;
            let page = ids(&answer);
            assert!(page.len() <= 3);
            seen.extend(page);
            let Some(next) = answer.json()["next_cursor"].as_str().map(str::to_owned) else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, expected);
    }

    async fn only_administrators_find_and_end_and_none_learns_what_there_is(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let all = json!({ "filter": { "user": user.user_id } });
        let before = fingerprint(&server.stores.database);
        let paths = FINDING.map(|path| path.replace("ID", &user.user_id));
        for path in &paths {
            server.anonymous().get(path).await.assert_problem(401, "unauthenticated");
            user.get(path).await.assert_problem(403, "forbidden");
        }
        let one = format!("/admin/sessions/{}", user.session_id);
        for path in [one.as_str(), &paths[1], "/admin/sessions/7", &format!("/admin/users/{NOBODY}/sessions")] {
            server.anonymous().delete(path).await.assert_problem(401, "unauthenticated");
        }
        for path in [one.as_str(), &paths[1], &format!("/admin/users/{NOBODY}/sessions")] {
            user.delete(path).await.assert_problem(403, "forbidden");
        }
        server.anonymous().post_json("/admin/sessions/revoke", &all).await.assert_problem(401, "unauthenticated");
        let lines = server.stores.database.count("audit", "event = 'authz_fail'");
        for body in [&all, &json!({ "filter": {} }), &json!({ "filter": { "country": "nowhere" } }), &json!({}), &json!([])] {
            user.post_json("/admin/sessions/revoke", body).await.assert_problem(403, "forbidden");
            user.put_json(&format!("/admin/users/{}/roles", user.user_id), body).await.assert_problem(403, "forbidden");
        }
        println!("{lines} lines before, {} after", server.stores.database.count("audit", "event = 'authz_fail'"));
        user.delete("/admin/sessions/7").await.assert_problem(403, "forbidden");
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(user.is_signed_in().await);
        for path in [format!("/admin/sessions/{NOBODY}"), format!("/admin/users/{NOBODY}/sessions")] {
            admin.delete(&path).await.assert_problem(404, "not-found");
        }
        admin.get(&format!("/admin/users/{NOBODY}/sessions")).await.assert_problem(404, "not-found");
    }

    async fn ending_wants_a_recent_proof_and_looking_does_not(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let of_user = format!("/admin/users/{}/sessions", user.user_id);
        let matching = json!({ "filter": { "user": user.user_id } });
        server.clock.advance(Duration::from_secs(16 * 60));
        admin.delete(&format!("/admin/sessions/{}", user.session_id)).await.assert_problem(403, "step-up-required");
        for path in [&of_user, &format!("/admin/users/{NOBODY}/sessions")] {
            admin.delete(path).await.assert_problem(403, "step-up-required");
        }
        for body in [&matching, &json!({ "filter": { "country": "IS" } })] {
            revoke(&admin, body).await.assert_problem(403, "step-up-required");
        }
        assert_eq!(server.stores.database.count("audit", "event = 'sessions_revoked_by_filter'"), 0);
        assert!(user.is_signed_in().await);
        assert_eq!(ids(&admin.get(&of_user).await), [user.session_id.as_str()]);
        let dry = revoke(&admin, &json!({ "filter": { "user": user.user_id }, "dry_run": true })).await;
        assert_eq!(outcome(&dry), (1, 0, 0, false));
        admin.person().reauthenticate(PASSWORD).await.assert_status(200);
        assert_eq!(outcome(&revoke(&admin, &matching).await), (1, 1, 0, false));
        assert!(!user.is_signed_in().await);
    }

    async fn one_session_and_all_of_a_user_end_at_once_on_every_node(server: TestServer) {
        let other_node = server.another_node().await;
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let (second, third) = (server.issue(&user).await, server.issue(&user).await);
        let dead = async |who: &crate::support::client::SignedIn| {
            !who.copy_at(&other_node.url()).is_signed_in().await && !who.copy_at(&server.url()).is_signed_in().await
        };
        for who in [&user, &second, &third] {
            assert!(!dead(who).await);
        }
        for _ in 0..2 {
            admin.delete(&format!("/admin/sessions/{}", user.session_id)).await.assert_status(204);
            assert!(dead(&user).await);
        }
        assert!(second.is_signed_in().await);
        let of_user = format!("/admin/users/{}/sessions", user.user_id);
        for revoked in [2, 0] {
            let answer = admin.delete(&of_user).await;
            assert_eq!(answer.assert_status(200).json(), json!({ "revoked": revoked }));
            assert!(dead(&second).await && dead(&third).await);
        }
        assert_eq!(server.stores.database.count("audit", "event = 'session_revoked' AND detail = 'revoked'"), 3);
        // Whoever ends the session that he asks with needs its cookie no more.
        let own = admin.delete(&format!("/admin/sessions/{}", admin.person().session_id)).await;
        assert!(own.assert_status(204).set_cookies().iter().any(|line| line.contains("Max-Age=0")), "{own}");
    }

    async fn what_fits_ends_and_nothing_else(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let (abroad, away) = (server.issue(&user).await, server.signed_in().await);
        for who in [&abroad, &away] {
            set(&server, &who.session_id, "country = 'BR'");
            assert!(who.is_signed_in().await);
        }
        set(&server, &admin.person().session_id, "country = 'BR'");
        let filter = json!({ "country": "BR" });
        let before = fingerprint(&server.stores.database);
        let dry = revoke(&admin, &json!({ "filter": filter, "dry_run": true })).await;
        assert_eq!(outcome(&dry), (2, 0, 0, false));
        assert_eq!(fingerprint(&server.stores.database), before, "a dry run changes nothing");
        // Two requests of one each, the session that asks left out.
        let first = revoke(&admin, &json!({ "filter": filter, "limit": 1 })).await;
        assert_eq!(outcome(&first), (1, 1, 0, true));
        let next = first.json()["next_cursor"].clone();
        let second = revoke(&admin, &json!({ "filter": filter, "limit": 10, "cursor": next })).await;
        assert_eq!(outcome(&second), (1, 1, 0, false));
        assert!(!abroad.is_signed_in().await && !away.is_signed_in().await);
        assert!(user.is_signed_in().await && admin.person().is_signed_in().await);
        assert_eq!(outcome(&revoke(&admin, &json!({ "filter": filter })).await), (0, 0, 0, false));
        let database = &server.stores.database;
        for session in [&abroad.session_id, &away.session_id] {
            let line = format!(
                "event = 'session_revoked' AND session_id = '{session}' AND actor = '{}'", admin.person().user_id
            );
            assert_eq!(database.count("audit", &line), 1);
        }
        let lines = "event = 'sessions_revoked_by_filter' AND detail = 'country=BR'";
        assert_eq!(database.count("audit", lines), 3, "one for each command");
    }

    async fn a_session_in_use_is_not_ended_for_resting(server: TestServer)
    with { "SESSIOND_STEP_UP_AGE": "1h" } {
        let (admin, busy) = (server.admin().await, server.signed_in().await);
        let resting = server.issue(&busy).await;
        assert!(busy.is_signed_in().await && resting.is_signed_in().await);
        let start = server.node().app().core.clock().now().ms();
        set_clock(&server, start + 10 * 60_000);
        // With Redis at another node, so that this one has no note of its own.
        let other_node = server.another_node().await;
        let at = if server.stores.redis_if_any().is_some() { other_node.url() } else { server.url() };
        assert!(busy.copy_at(&at).is_signed_in().await && admin.person().is_signed_in().await);
        // The ledger says that both rest: only the record knows better. Without Redis it is told at once.
        if server.stores.redis_if_any().is_some() {
            for who in [&busy, &resting] {
                set(&server, &who.session_id, &format!("last_seen_at = {start}"));
            }
        }
        let filter = json!({ "last_seen_before": ago(&server, Duration::from_secs(300)), "user": busy.user_id });
        let dry = revoke(&admin, &json!({ "filter": filter, "dry_run": true })).await;
        let real = revoke(&admin, &json!({ "filter": filter })).await;
        assert_eq!((outcome(&dry).0, outcome(&real)), (1, (1, 1, 0, false)), "{real}");
        assert!(busy.is_signed_in().await, "it was used a moment ago");
        assert!(!resting.is_signed_in().await);
    }

    /// A use is not written while the last one that was is younger than this.
    async fn a_use_that_was_not_written_yet_counts(server: TestServer) with { "SESSIOND_LAST_SEEN_RESOLUTION": "60s" } {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        assert!(user.is_signed_in().await);
        server.clock.advance(Duration::from_secs(40));
        assert!(user.is_signed_in().await);
        let rested = json!({ "last_seen_before": ago(&server, Duration::from_secs(20)), "user": user.user_id });
        let answer = revoke(&admin, &json!({ "filter": rested })).await;
        assert_eq!(outcome(&answer), (0, 0, 0, false), "{answer}");
        assert!(user.is_signed_in().await, "it was used a moment ago");
    }

    async fn a_network_of_one_kind_of_address_has_none_of_the_other(server: TestServer)
    with { "SESSIOND_TRUSTED_PROXIES": "127.0.0.0/8", "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For" } {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let body = json!({ "email": user.email, "password": PASSWORD });
        let call = server.anonymous();
        let signed_in = call.change(Method::POST, "/login").header("X-Forwarded-For", "2001:db8::7").json(&body).send().await;
        let six = signed_in.assert_status(200).json()["session"]["id"].as_str().expect("an id").to_owned();
        for field in ["ip", "sign_in_ip"] {
            for (network, expected) in [
                ("::/0", &[&six][..]), ("::/1", &[&six]), ("::/64", &[]), ("2001:db8::/32", &[&six]),
                ("::ffff:0:0/96", &[&user.session_id]), ("::ffff:127.0.0.0/104", &[&user.session_id]), ("0.0.0.0/0", &[&user.session_id]),
                ("127.0.0.0/8", &[&user.session_id]), ("2001:db8::7", &[&six]),
            ] {
                let query = format!("?filter[user]={}&filter[{field}]={network}", user.user_id);
                assert_eq!(found(&admin, &query).await.iter().collect::<Vec<_>>(), expected, "{field} {network}");
            }
        }
    }

    async fn a_bad_value_is_refused_by_name_and_nothing_ends(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        for (query, field) in [
            ("filter[country]=Portugal", "filter[country]"), ("filter[contry]=PT", "filter[contry]"),
            ("filter[ip]=192.0.2.7/24", "filter[ip]"), ("filter[sign_in_ip]=", "filter[sign_in_ip]"),
            ("filter[asn]=-1", "filter[asn]"), ("filter[risk]=high", "filter[risk]"), ("filter[user]=7", "filter[user]"),
            ("filter[os]=%00", "filter[os]"), ("filter[browser]=", "filter[browser]"),
            ("filter[created_before]=yesterday", "filter[created_before]"),
            ("filter[last_seen_after]=30d", "filter[last_seen_after]"),
            ("filter[os]=a&filter[os]=b", "filter[os]"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=!", "cursor"),
        ] {
            let answer = admin.get(&format!("/admin/sessions?{query}")).await;
            assert_eq!(answer.assert_problem(422, "invalid-body").json()["errors"][0]["field"], json!(field), "{answer}");
        }
        let before = fingerprint(&server.stores.database);
        for (body, field) in [
            (json!({ "filter": {} }), "filter"), (json!({ "filter": { "os": null } }), "filter"), (json!({}), "filter"),
            (json!({ "filter": "country=PT" }), "filter"), (json!({ "filter": { "country": ["PT"] } }), "filter"),
            (json!({ "filter": { "contry": "PT" } }), "filter.contry"), (json!({ "filter": { "risk": -1 } }), "filter.risk"),
            (json!({ "filter": { "risk": 1 }, "limit": 0 }), "limit"), (json!({ "filter": { "risk": 1 }, "limit": 10_001 }), "limit"),
            (json!({ "filter": { "risk": 1 }, "cursor": "x" }), "cursor"), (json!({ "filter": { "risk": 1 }, "dry": true }), "dry"),
        ] {
            let answer = revoke(&admin, &body).await;
            assert_eq!(answer.assert_problem(422, "invalid-body").json()["errors"][0]["field"], json!(field), "{answer}");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        let everybody = revoke(&admin, &json!({ "filter": {}, "all": true })).await;
        assert_eq!(outcome(&everybody), (1, 1, 0, false));
        assert!(!user.is_signed_in().await);
        let call = admin.change(Method::DELETE, "/admin/sessions/revoke").send().await;
        call.assert_problem(405, "method-not-allowed");
    }

    async fn the_command_line_has_the_same_power(server: TestServer) {
        let user = server.signed_in().await;
        let others = [server.issue(&user).await, server.issue(&user).await];
        for other in &others {
            set(&server, &other.session_id, "country = 'BR'");
            assert!(other.is_signed_in().await);
        }
        let run = |arguments: &[&str]| command_line(&server.settings, arguments, "");
        let listed = command_line_ok(&server.settings, &["sessions", "list", "--country", "br", "--json"], "");
        assert_eq!(listed.lines().count(), 2);
        assert!(listed.lines().all(|line| line.contains(&user.email)), "{listed}");
        let table = command_line_ok(&server.settings, &["sessions", "list", "--user", &user.email], "");
        assert_eq!(table.lines().count(), 4, "a head and three sessions: {table}");
        let none = command_line_ok(&server.settings, &["sessions", "list", "--older-than", "1d"], "");
        assert_eq!(none, "No live session matches.\n");
        let refused = run(&["sessions", "revoke", "--country", "BR"]);
        assert_eq!(refused.status.code(), Some(2), "more than one wants a word more: {refused:?}");
        let bad = run(&["sessions", "revoke", "--country", "Brazil", "--yes"]);
        assert_eq!(bad.status.code(), Some(2));
        assert_eq!(String::from_utf8_lossy(&bad.stderr), "sessiond: --country: A country is two letters, such as PT.\n");
        for nonsense in [&["sessions", "revoke"][..], &["sessions", "revoke", NOBODY, "--country", "BR"]] {
            assert_eq!(run(nonsense).status.code(), Some(2), "{nonsense:?}");
        }
        assert!(others[0].is_signed_in().await && others[1].is_signed_in().await);
        let dry = command_line_ok(&server.settings, &["sessions", "revoke", "--country", "BR", "--dry-run", "--json"], "");
        assert_eq!(dry, "{\"matched\":2,\"revoked\":0,\"unconfirmed\":0}\n");
        let done = command_line_ok(&server.settings, &["sessions", "revoke", "--country", "BR", "--yes"], "");
        assert_eq!(done, "Sessions that have ended: 2.\n");
        assert!(!others[0].is_signed_in().await && !others[1].is_signed_in().await && user.is_signed_in().await);
    }
}
