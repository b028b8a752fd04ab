//! Where a session is: shown beside where it was signed in, and found by either.
//!
//! Owns what an administrator sees of a session that is used elsewhere than where it was signed in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::travel::{World, ask_from};
use crate::support::client::Admin;
use crate::support::mmdb::{LISBON, MADRID, NOWHERE, TOKYO};
use crate::support::process::command_line_ok;
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;
use crate::support::wait::until;

const SOON: Duration = Duration::from_secs(20);

async fn found(admin: &Admin, query: &str) -> Vec<String> {
    let answer = admin.get(&format!("/admin/sessions?{query}")).await;
    let sessions = answer.assert_status(200).json()["sessions"].as_array().cloned().expect("a list");
    sessions.iter().map(|session| session["id"].as_str().expect("an id").to_owned()).collect()
}

fn of(session: &Value, fields: [&str; 6]) -> [Value; 6] {
    fields.map(|field| session[field].clone())
}

on_each_backend! {
    async fn a_session_is_found_where_it_was_signed_in_and_where_it_is(server: TestServer)
    with { "SESSIOND_RISK_WEIGHTS": "impossible_speed=0" } {
        let (world, person) = (World::beside(&server, &[]).await, server.signed_in().await);
        let admin = server.admin().await;
        let (stolen, other) = (world.session(&person, LISBON).await, world.session(&person, LISBON).await);
        let (stolen_id, other_id) = (stolen.session_id.as_str(), other.session_id.as_str());
        // The node that answers has no location file: what it shows is the ledger's.
        assert_eq!(found(&admin, "filter[country]=PT").await.len(), 2);
        assert!(found(&admin, "filter[country]=JP").await.is_empty());
        ask_from(&stolen, TOKYO).await.assert_status(200);
        until("the ledger knows where it is", SOON, async || found(&admin, "filter[country]=jp").await == [stolen_id]).await;
        let answer = admin.get("/admin/sessions?filter[country]=JP").await;
        let session = &answer.json()["sessions"][0];
        let shown = of(session, ["country", "city", "last_country", "last_city", "location", "ip"]);
        let expected = [json!("PT"), json!("Lisbon"), json!("JP"), json!("Tokyo"), json!("Tokyo, JP"), json!(TOKYO)];
        assert_eq!(shown, expected, "{answer}");
        assert!(session["last_asn"].is_i64() && session["last_asn"] != session["asn"], "{answer}");
        let (asn, last) = (&session["asn"], &session["last_asn"]);
        // Both are found where they were signed in; a network and a country are of one place.
        for (query, count) in [
            ("filter[country]=PT".to_owned(), 2),
            (format!("filter[asn]={asn}"), 2),
            (format!("filter[asn]={last}"), 1),
            (format!("filter[asn]={last}&filter[country]=JP"), 1),
            (format!("filter[asn]={asn}&filter[country]=PT"), 2),
            (format!("filter[asn]={last}&filter[country]=PT"), 0),
            (format!("filter[asn]={asn}&filter[country]=JP"), 0),
            (format!("filter[user]={}&filter[country]=JP", person.user_id), 1),
        ] {
            assert_eq!(found(&admin, &query).await.len(), count, "{query}");
        }
        // The owner is shown where it is.
        let mine = person.get("/sessions").await;
        let mine = mine.json()["sessions"].as_array().cloned().expect("a list");
        let place = |id: &str| mine.iter().find(|it| it["id"] == id).map(|it| it["location"].clone());
        assert_eq!((place(stolen_id), place(other_id)), (Some(json!("Tokyo, JP")), Some(json!("Lisbon, PT"))));
        let table = command_line_ok(&server.settings, &["sessions", "list", "--country", "JP"], "");
        assert!(table.contains(stolen_id) && table.contains("Tokyo, JP; signed in from Lisbon, PT") && !table.contains(other_id), "{table}");
        // Whoever is alarmed ends it by where it is, and nothing else.
        let revoked = admin.post_json("/admin/sessions/revoke", &json!({ "filter": { "country": "JP" } })).await;
        assert_eq!(revoked.assert_status(200).json()["revoked"], 1, "{revoked}");
        assert!(!stolen.is_signed_in().await && other.is_signed_in().await);
    }

    async fn who_comes_back_is_where_the_session_was_signed_in(server: TestServer)
    with { "SESSIOND_RISK_WEIGHTS": "impossible_speed=0" } {
        let (world, person) = (World::beside(&server, &[]).await, server.signed_in().await);
        let (admin, traveller) = (server.admin().await, world.session(&person, LISBON).await);
        let id = traveller.session_id.as_str();
        for (address, country, last) in [(MADRID, "ES", json!("ES")), (NOWHERE, "PT", Value::Null), (LISBON, "PT", json!("PT"))] {
            ask_from(&traveller, address).await.assert_status(200);
            until(address, SOON, async || {
                let answer = admin.get(&format!("/admin/users/{}", person.user_id)).await;
                let all = answer.json()["sessions"].as_array().cloned().unwrap_or_default();
                all.iter().any(|it| it["id"] == id && it["ip"] == address && it["last_country"] == last)
                    && found(&admin, &format!("filter[country]={country}")).await == [id]
            }).await;
        }
        until("nothing is left of Spain", SOON, async || found(&admin, "filter[country]=ES").await.is_empty()).await;
    }
}
