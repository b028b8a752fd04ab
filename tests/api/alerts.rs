//! Alerts as administrators see them: pages, states, taking note; over HTTP and on the command line.
//!
//! Owns what is asked and what is answered. When an alert is opened is in `risk.rs`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::tools::NOBODY;
use crate::api::travel::{World, alerts_about, named};
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::mmdb::{HOSTILE, LISBON, TOKYO};
use crate::support::process::{command_line, command_line_ok};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

/// Somebody about whom there is an alert.
async fn suspect(server: &TestServer, world: &World) -> SignedIn {
    let person = server.signed_in().await;
    world.session(&person, LISBON).await;
    world.session(&person, TOKYO).await;
    person
}

fn ids(page: &Value) -> Vec<String> {
    let alerts = page["alerts"].as_array().expect("a list").iter();
    alerts.map(|alert| alert["id"].as_str().expect("an id").to_owned()).collect()
}

on_each_backend! {
    async fn alerts_are_pages_and_one_that_was_acknowledged_is_not_open(server: TestServer) {
        let (world, admin) = (World::beside(&server, &[]).await, server.admin().await);
        let mut people = Vec::new();
        for _ in 0..5 {
            people.push(suspect(&server, &world).await);
        }
        let get = async |query: &str| admin.get(&format!("/admin/alerts{query}")).await.assert_status(200).json();
        let all = ids(&get("").await);
        assert_eq!(all.len(), 5);
        let (mut seen, mut query, mut pages) = (Vec::new(), "?limit=2".to_owned(), 0);
        loop {
            let page = get(&query).await;
            seen.extend(ids(&page));
            pages += 1;
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            query = format!("?limit=2&cursor={cursor}");
        }
        assert_eq!((pages, &seen), (3, &all), "each once, the newest first");
        assert_eq!(get("?limit=5").await["next_cursor"], Value::Null, "none after the last");
        for _ in 0..2 {
            admin.post(&format!("/admin/alerts/{}/acknowledge", all[1])).await.assert_status(204);
        }
        assert_eq!(ids(&get("?state=open").await).len(), 4);
        let noted = get("?state=acknowledged").await;
        assert_eq!(ids(&noted), [all[1].clone()]);
        assert_eq!(noted["alerts"][0]["acknowledged_by"], admin.person().user_id.as_str());
        assert!(noted["alerts"][0]["acknowledged_at"].is_string());
        assert_eq!(ids(&get("?state=all").await), all);
        assert_eq!(server.stores.database.count("audit", "event = 'alert_acknowledged'"), 1, "again is no news");
    }

    async fn alerts_about_one_user_are_theirs_alone(server: TestServer) {
        let (world, admin) = (World::beside(&server, &[]).await, server.admin().await);
        let (one, other) = (suspect(&server, &world).await, suspect(&server, &world).await);
        let about = async |query: &str| ids(&admin.get(&format!("/admin/alerts?{query}")).await.assert_status(200).json());
        let (of_one, of_other) = (about(&format!("filter[user]={}", one.user_id)).await, about(&format!("filter[user]={}", other.user_id)).await);
        assert!(of_one.len() == 1 && of_other.len() == 1 && of_one != of_other, "{of_one:?} {of_other:?}");
        admin.post(&format!("/admin/alerts/{}/acknowledge", of_one[0])).await.assert_status(204);
        assert!(about(&format!("filter[user]={}", one.user_id)).await.is_empty());
        assert_eq!(about(&format!("filter[user]={}&state=all&limit=1", one.user_id)).await, of_one);
        assert_eq!(about("state=all").await.len(), 2);
        assert!(about(&format!("filter[user]={NOBODY}&state=all")).await.is_empty());
        let lines = command_line_ok(&server.settings, &["alerts", "list", "--user", &one.email, "--state", "all", "--json"], "");
        assert!(lines.lines().count() == 1 && lines.contains(&of_one[0]), "{lines}");
        let listed = command_line_ok(&server.settings, &["alerts", "list", "--user", &one.user_id], "");
        assert_eq!(listed, "No alert matches.\n");
        assert_eq!(command_line(&server.settings, &["alerts", "list", "--user", "nobody@example.org"], "").status.code(), Some(1));
    }

    async fn only_administrators_see_and_acknowledge(server: TestServer) {
        let (world, admin) = (World::beside(&server, &[]).await, server.admin().await);
        let person = suspect(&server, &world).await;
        let id = alerts_about(&admin, &person).await[0]["id"].as_str().unwrap_or_default().to_owned();
        let note = format!("/admin/alerts/{id}/acknowledge");
        server.anonymous().get("/admin/alerts").await.assert_problem(401, "unauthenticated");
        server.anonymous().post(&note).await.assert_problem(401, "unauthenticated");
        person.get("/admin/alerts").await.assert_problem(403, "forbidden");
        person.post(&note).await.assert_problem(403, "forbidden");
        for nothing in [NOBODY, "7", "%00"] {
            let path = format!("/admin/alerts/{nothing}/acknowledge");
            admin.post(&path).await.assert_problem(404, "not-found");
        }
        for (query, field) in [
            ("state=closed", "state"), ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"),
            ("cursor=x", "cursor"), ("cursor=%00", "cursor"), ("cursor=", "cursor"),
        ] {
            let answer = admin.get(&format!("/admin/alerts?{query}")).await;
            let problem = answer.assert_problem(422, "invalid-body").json();
            assert_eq!(problem["errors"][0]["field"], field, "{query}");
        }
        // To look needs no fresh proof, to take note does.
        server.clock.advance(Duration::from_secs(16 * 60));
        admin.get("/admin/alerts").await.assert_status(200);
        admin.post(&note).await.assert_problem(403, "step-up-required");
        assert_eq!(server.stores.database.count("alerts", "acknowledged_at IS NULL"), 1);
        admin.person().reauthenticate(PASSWORD).await.assert_status(200);
        admin.post(&note).await.assert_status(204);
        // The account goes, the alert stays.
        let sql = format!("UPDATE alerts SET user_id = '{NOBODY}'");
        server.stores.database.execute(&sql);
        let user = admin.get("/admin/alerts?state=all").await.json()["alerts"][0]["user"].clone();
        assert_eq!(user, json!({ "id": NOBODY, "email": null }));
    }

    async fn the_command_line_lists_and_acknowledges(server: TestServer) {
        let world = World::beside(&server, &[("SESSIOND_RISK_WEIGHTS", "impossible_speed=60,new_network=60")]).await;
        let nothing = command_line_ok(&server.settings, &["alerts", "list"], "");
        assert_eq!(nothing, "No alert matches.\n");
        let person = server.signed_in().await;
        let far = world.session(&person, TOKYO).await;
        let near = world.session(&person, HOSTILE).await;
        let table = command_line_ok(&server.settings, &["alerts", "list"], "");
        assert!(table.starts_with("ID ") && table.contains(&person.email), "{table}");
        assert!(table.contains("impossible_speed (60): Tokyo, JP and <img src=x"), "{table}");
        assert!(!table.contains(['\u{1b}', '\u{0}', '\u{202e}']), "a text, not an order: {table:?}");
        let lines = command_line_ok(&server.settings, &["alerts", "list", "--json"], "");
        let alert: Value = serde_json::from_str(&lines).expect("one object on one line");
        assert_eq!(named(&alert), [&far, &near].map(|session| session.session_id.as_str()));
        let id = alert["id"].as_str().expect("an id");
        let said = command_line_ok(&server.settings, &["alerts", "acknowledge", id, "--json"], "");
        assert_eq!(serde_json::from_str::<Value>(&said).expect("JSON"), json!({ "acknowledged": id }));
        let said = command_line_ok(&server.settings, &["alerts", "acknowledge", id], "");
        assert_eq!(said, format!("The alert {id} is acknowledged.\n"));
        let by = "acknowledged_by = 'command line'";
        assert_eq!(server.stores.database.count("alerts", by), 1);
        assert_eq!(server.stores.database.count("audit", "event = 'alert_acknowledged' AND actor = 'command line'"), 1);
        assert!(command_line_ok(&server.settings, &["alerts", "list", "--state", "acknowledged"], "").contains(id));
        let unknown = command_line(&server.settings, &["alerts", "acknowledge", NOBODY], "");
        assert_eq!(unknown.status.code(), Some(1));
        assert_eq!(command_line(&server.settings, &["alerts", "acknowledge", "7"], "").status.code(), Some(2));
    }

    async fn with_an_account_its_alerts_are_closed(server: TestServer) {
        let (world, admin) = (World::beside(&server, &[]).await, server.admin().await);
        let person = suspect(&server, &world).await;
        let id = alerts_about(&admin, &person).await[0]["id"].as_str().unwrap_or_default().to_owned();
        admin.delete(&format!("/admin/users/{}", person.user_id)).await.assert_status(204);
        assert!(ids(&admin.get("/admin/alerts?state=open").await.assert_status(200).json()).is_empty());
        let alert = alerts_about(&admin, &person).await.remove(0);
        assert_eq!(alert["user"], json!({ "id": person.user_id, "email": null }));
        assert_eq!((&alert["signals"], &alert["acknowledged_by"]), (&json!([]), &json!(admin.person().user_id)));
        let listed = |more: &[&str]| command_line_ok(&server.settings, &[&["alerts", "list"], more].concat(), "");
        let all = listed(&["--state", "all"]);
        assert!(all.lines().count() == 2 && all.contains(&id) && all.contains(&person.user_id), "{all}");
        assert_eq!(listed(&["--state", "all", "--user", &person.user_id]), all);
        assert_eq!(command_line(&server.settings, &["alerts", "list", "--user", NOBODY], "").status.code(), Some(1));
    }
}
