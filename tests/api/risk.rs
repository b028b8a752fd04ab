//! Risk: what is strange about somebody's sessions is one alert for one matter, at sign-in and while they live.
//!
//! Owns the rules end to end, each with what sets it off and what does not; the finer points of each are beside the rules.

use std::time::Duration;

use serde_json::json;

use crate::api::travel::{FIREFOX, World, alerts_about, ask_from, named, rules};
use crate::support::client::{PASSWORD, SignedIn, new_email};
use crate::support::mmdb::{CARRIER, GERMANY, LISBON, MADRID, NOWHERE, SAO_PAULO, TOKYO};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::until;

const SOON: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3_600);
/// Longer than it takes to look at all of the few sessions of a test twice.
const TWO_ROUNDS: Duration = Duration::from_secs(11);

/// Somebody who has an account and has never signed in.
async fn newcomer(server: &TestServer) -> SignedIn {
    let person = server.signed_in().await;
    server.stores.database.execute(&format!("DELETE FROM sessions WHERE id = '{}'", person.session_id));
    person
}

fn risk_of(server: &TestServer, who: &SignedIn) -> String {
    server
        .stores
        .database
        .value(&format!("SELECT CAST(risk AS TEXT) AS value FROM sessions WHERE id = '{}'", who.session_id))
}

fn audited(server: &TestServer, event: &str, who: &SignedIn) -> i64 {
    let condition = format!("event = '{event}' AND user_id = '{}'", who.user_id);
    i64::try_from(server.stores.database.count("audit", &condition)).expect("it is small")
}

fn count_challenged(server: &TestServer) -> usize {
    server.stores.database.count("sessions", "challenged_at IS NOT NULL")
}

on_each_backend! {
    async fn three_countries_at_once_are_one_alert_that_names_three_sessions(server: TestServer)
    with { "SESSIOND_RISK_WEIGHTS": "impossible_speed=0" } {
        let (world, admin, person) = (World::beside(&server, &[]).await, server.admin().await, newcomer(&server).await);
        let first = world.session(&person, LISBON).await;
        let second = world.session(&person, MADRID).await;
        assert!(alerts_about(&admin, &person).await.is_empty(), "two are a journey");
        let third = world.session(&person, SAO_PAULO).await;
        let alerts = alerts_about(&admin, &person).await;
        assert_eq!(alerts.len(), 1);
        let alert = &alerts[0];
        assert_eq!(named(alert), [&first, &second, &third].map(|session| session.session_id.as_str()));
        assert_eq!(rules(alert), ["new_country", "new_network", "several_countries"]);
        let reason = alert.pointer("/signals/2/reason").and_then(|it| it.as_str()).unwrap_or_default();
        assert_eq!(reason, "Sessions are alive in 3 countries at the same time: BR, ES, PT.");
        assert_eq!((&alert["risk"], &alert["action"], &alert["acknowledged_at"]), (&json!(100), &json!("alert"), &json!(null)));
        assert_eq!(alert["user"]["email"], person.email.as_str());
        assert_eq!(audited(&server, "alert_opened", &person), 1);
        assert_eq!([&first, &third].map(|session| risk_of(&server, session)), ["100", "100"]);
        // Nobody is signed out, further sessions in these countries are no news, nor is the look at live sessions.
        for address in [LISBON, SAO_PAULO] {
            world.session(&person, address).await;
        }
        tokio::time::sleep(TWO_ROUNDS).await;
        assert_eq!(alerts_about(&admin, &person).await.len(), 1);
        assert!(first.is_signed_in().await && third.is_signed_in().await);
        // A fourth country adds to what is open; after that was acknowledged it is another alert.
        let fourth = world.session(&person, TOKYO).await;
        let alerts = alerts_about(&admin, &person).await;
        assert!(alerts.len() == 1 && named(&alerts[0]).contains(&fourth.session_id.as_str()), "{alerts:?}");
        let id = alerts[0]["id"].as_str().unwrap_or_default();
        admin.post(&format!("/admin/alerts/{id}/acknowledge")).await.assert_status(204);
        world.session(&person, TOKYO).await;
        assert_eq!(alerts_about(&admin, &person).await.len(), 1, "the same");
        world.session(&person, GERMANY).await;
        assert_eq!(alerts_about(&admin, &person).await.len(), 2, "another country");
        assert_eq!(audited(&server, "alert_opened", &person), 2);
    }

    async fn a_carrier_that_is_filed_under_three_countries_is_no_alert(server: TestServer) {
        let (world, admin, person) = (World::beside(&server, &[]).await, server.admin().await, newcomer(&server).await);
        let mut sessions = Vec::new();
        for address in CARRIER {
            sessions.push((world.session(&person, address).await, address));
        }
        // Each is passed from one to the next, and stays in another country.
        for (session, home) in &sessions {
            for address in CARRIER.into_iter().chain([*home]) {
                ask_from(session, address).await.assert_status(200);
            }
        }
        world.session(&person, NOWHERE).await;
        tokio::time::sleep(TWO_ROUNDS).await;
        assert!(alerts_about(&admin, &person).await.is_empty());
    }

    async fn sessions_that_move_are_judged_where_they_are(server: TestServer)
    with { "SESSIOND_RISK_WEIGHTS": "impossible_speed=0" } {
        let (world, admin, person) = (World::beside(&server, &[]).await, server.admin().await, newcomer(&server).await);
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(world.session(&person, LISBON).await);
        }
        ask_from(&sessions[1], MADRID).await.assert_status(200);
        ask_from(&sessions[2], TOKYO).await.assert_status(200);
        until("the alert", SOON, async || !alerts_about(&admin, &person).await.is_empty()).await;
        let alerts = alerts_about(&admin, &person).await;
        assert_eq!(named(&alerts[0]), [0, 1, 2].map(|index: usize| sessions[index].session_id.as_str()));
        assert!(rules(&alerts[0]).contains(&"several_countries"));
        assert_eq!(alerts.len(), 1);
    }

    async fn live_sessions_are_looked_at_without_anybody_asking(server: TestServer) {
        let (admin, person) = (server.admin().await, newcomer(&server).await);
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(server.issue(&person).await);
        }
        // As if another node had written them, or nobody had looked.
        for (session, country) in sessions.iter().zip(["PT", "ES", "JP"]) {
            let sql = format!("UPDATE sessions SET country = '{country}' WHERE id = '{}'", session.session_id);
            server.stores.database.execute(&sql);
        }
        let _world = World::beside(&server, &[]).await;
        until("the alert", SOON, async || !alerts_about(&admin, &person).await.is_empty()).await;
        let alerts = alerts_about(&admin, &person).await;
        assert_eq!((rules(&alerts[0]), named(&alerts[0]).len()), (vec!["several_countries"], 3));
        assert_eq!(risk_of(&server, &sessions[0]), "60");
    }

    async fn nobody_travels_that_fast(server: TestServer) {
        let (world, admin) = (World::beside(&server, &[]).await, server.admin().await);
        let (quick, slow) = (newcomer(&server).await, newcomer(&server).await);
        let left = [world.session(&quick, LISBON).await, world.session(&slow, LISBON).await];
        server.clock.advance(HOUR / 4);
        let arrived = world.session(&quick, TOKYO).await;
        let alerts = alerts_about(&admin, &quick).await;
        assert_eq!(alerts.len(), 1);
        assert_eq!(rules(&alerts[0]), ["new_country", "new_network", "impossible_speed"]);
        assert_eq!(named(&alerts[0]), [left[0].session_id.as_str(), arrived.session_id.as_str()]);
        // A night later it is a flight; to Madrid it is a quarter of an hour for whoever sits at the border.
        server.clock.advance(12 * HOUR);
        world.session(&slow, TOKYO).await;
        server.clock.advance(24 * HOUR);
        world.session(&slow, LISBON).await;
        world.session(&slow, MADRID).await;
        let admin = server.admin().await;
        assert!(alerts_about(&admin, &slow).await.is_empty(), "{:?}", alerts_about(&admin, &slow).await);
    }

    async fn a_cookie_that_is_used_in_two_places_at_once_is_an_alert(server: TestServer) {
        let (world, admin, owner) = (World::beside(&server, &[]).await, server.admin().await, newcomer(&server).await);
        let session = world.session(&owner, LISBON).await;
        ask_from(&session, MADRID).await.assert_status(200);
        let thief = session.copy_at(&world.node.url());
        ask_from(&thief, TOKYO).await.assert_status(200);
        until("the alert", SOON, async || !alerts_about(&admin, &owner).await.is_empty()).await;
        let alerts = alerts_about(&admin, &owner).await;
        assert!(rules(&alerts[0]).contains(&"impossible_speed"), "{alerts:?}");
        assert_eq!(named(&alerts[0]), [session.session_id.as_str()]);
        assert_eq!(risk_of(&server, &session), "100");
    }

    async fn a_guessed_password_is_an_alert_and_a_forgotten_one_is_not(server: TestServer) {
        let (world, admin) = (World::beside(&server, &[]).await, server.admin().await);
        let (guessed, forgetful) = (newcomer(&server).await, newcomer(&server).await);
        let sign_in = async |who: &SignedIn, from: &str, password: &str| {
            let visitor = world.node.anonymous();
            let body = json!({ "email": who.email, "password": password });
            let call = visitor.call(reqwest::Method::POST, "/login").header("X-Forwarded-For", from);
            call.header("User-Agent", FIREFOX).json(&body).send().await.status
        };
        for (who, from) in [(&guessed, MADRID), (&forgetful, LISBON)] {
            world.session(who, LISBON).await;
            for _ in 0..5 {
                assert_eq!(sign_in(who, from, "not this one either").await, 401);
            }
        }
        server.clock.advance(HOUR / 60);
        for (who, from) in [(&guessed, MADRID), (&forgetful, LISBON)] {
            assert_eq!(sign_in(who, from, PASSWORD).await, 200);
        }
        let alerts = alerts_about(&admin, &guessed).await;
        assert_eq!(rules(&alerts[0]), ["new_country", "new_network", "failures_before_success"]);
        let reason = alerts[0].pointer("/signals/2/reason").and_then(|it| it.as_str()).unwrap_or_default();
        assert_eq!(reason, "5 wrong passwords preceded the right one.");
        assert!(alerts_about(&admin, &forgetful).await.is_empty(), "below the threshold");
        let known = format!("user_id = '{}' AND risk = 50", forgetful.user_id);
        assert_eq!(server.stores.database.count("sessions", &known), 1, "but it is remembered");
    }

    /// Wrong passwords are anybody's: they tell, and do nothing to the owner who comes next, on whatever device.
    async fn what_strangers_can_bring_about_is_told_and_nothing_is_done_for_it(server: TestServer) {
        let (world, admin) = (World::beside(&server, &[("SESSIOND_RISK_ACTION", "revoke")]).await, server.admin().await);
        let owner = newcomer(&server).await;
        world.session(&owner, LISBON).await;
        let sign_in = async |from: &str, password: &str| {
            let visitor = world.node.anonymous();
            let body = json!({ "email": owner.email, "password": password });
            let call = visitor.call(reqwest::Method::POST, "/login").header("X-Forwarded-For", from);
            let answer = call.header("User-Agent", "curl/8.5.0").json(&body).send().await;
            (visitor, answer)
        };
        for _ in 0..5 {
            assert_eq!(sign_in(NOWHERE, "not this one either").await.1.status, 401);
        }
        server.clock.advance(HOUR / 60);
        let (browser, answer) = sign_in(LISBON, PASSWORD).await;
        let session = browser.into_signed_in(&owner.email, PASSWORD, answer.assert_status(200));
        let alerts = alerts_about(&admin, &owner).await;
        assert_eq!(rules(&alerts[0]), ["failures_before_success", "new_device"]);
        assert_eq!(alerts[0]["action"], "alert", "what was done");
        assert!(session.is_signed_in().await, "the owner goes on");
        // What is strange of the session itself is a reason to act, with or without them.
        let far = world.session(&owner, TOKYO).await;
        assert!(!far.is_signed_in().await, "nobody travels that fast");
        assert!(session.is_signed_in().await);
    }

    async fn a_journey_with_a_new_telephone_and_a_first_sign_in_are_no_alert(server: TestServer) {
        let (world, admin, person) = (World::beside(&server, &[]).await, server.admin().await, newcomer(&server).await);
        let first = world.session(&person, TOKYO).await;
        assert_eq!(risk_of(&server, &first), "0");
        server.clock.advance(20 * HOUR);
        let visitor = world.node.anonymous();
        let body = json!({ "email": person.email, "password": PASSWORD });
        let call = visitor.call(reqwest::Method::POST, "/login").header("X-Forwarded-For", LISBON);
        let answer = call.header("User-Agent", "curl/8.5.0").json(&body).send().await;
        answer.assert_status(200);
        let session = visitor.into_signed_in(&person.email, PASSWORD, &answer);
        assert_eq!(risk_of(&server, &session), "50", "new country, new network, new device");
        let admin_again = server.admin().await;
        assert!(alerts_about(&admin_again, &person).await.is_empty());
        drop(admin);
        // The same device, network and country again are nothing.
        assert_eq!(risk_of(&server, &world.session(&person, LISBON).await), "0");
        let unknown = server.anonymous();
        unknown.register(&new_email()).await.assert_status(201);
    }

    async fn where_the_operator_wants_it_what_is_strange_proves_itself_first(server: TestServer) {
        let world = World::beside(&server, &[("SESSIOND_RISK_ACTION", "step_up")]).await;
        let (admin, person) = (server.admin().await, newcomer(&server).await);
        let (home, second) = (world.session(&person, LISBON).await, world.session(&person, MADRID).await);
        assert_eq!(count_challenged(&server), 0);
        let third = world.session(&person, TOKYO).await;
        // Several countries: nobody can tell whose is which, so all of them prove it.
        for (session, address) in [(&home, LISBON), (&second, MADRID), (&third, TOKYO)] {
            let answer = ask_from(session, address).await;
            assert_eq!(answer.assert_status(200).header("x-session-authenticated-at"), Some("0"));
            session.rename(Some("Eve")).await.assert_problem(403, "step-up-required");
        }
        home.reauthenticate(PASSWORD).await.assert_status(200);
        home.rename(Some("Ana")).await.assert_status(200);
        // They are where they were, and whoever has proven it is not asked again for the same.
        for (session, address) in [(&home, LISBON), (&second, MADRID), (&third, TOKYO)] {
            ask_from(session, address).await.assert_status(200);
        }
        tokio::time::sleep(TWO_ROUNDS).await;
        home.rename(Some("Ana again")).await.assert_status(200);
        let alerts = alerts_about(&admin, &person).await;
        assert!(alerts.iter().all(|alert| alert["action"] == "step_up"), "{alerts:?}");
    }

    async fn where_the_operator_wants_it_what_is_strange_ends(server: TestServer) {
        let world = World::beside(&server, &[("SESSIOND_RISK_ACTION", "revoke")]).await;
        let (admin, quick) = (server.admin().await, newcomer(&server).await);
        // Of two places that are too far apart the newer one ends.
        let home = world.session(&quick, LISBON).await;
        let far = world.session(&quick, TOKYO).await;
        assert!(home.is_signed_in().await && !far.is_signed_in().await);
        // Of several countries all, for nobody can tell which is the owner's.
        let person = newcomer(&server).await;
        let sessions = [server.issue(&person).await, server.issue(&person).await, server.issue(&person).await];
        for (session, country) in sessions.iter().zip(["PT", "ES", "JP"]) {
            assert!(session.is_signed_in().await);
            let sql = format!("UPDATE sessions SET country = '{country}' WHERE id = '{}'", session.session_id);
            server.stores.database.execute(&sql);
        }
        until("the end", SOON, async || !sessions[0].is_signed_in().await).await;
        for session in &sessions {
            until("all of them end", SOON, async || !session.is_signed_in().await).await;
        }
        let ended = format!("user_id = '{}' AND end_reason = 'suspicious'", person.user_id);
        assert_eq!(server.stores.database.count("sessions", &ended), 3);
        assert_eq!(audited(&server, "session_revoked", &person), 3);
        assert_eq!(alerts_about(&admin, &person).await.len(), 1);
        assert!(server.issue(&person).await.is_signed_in().await, "and signing in again works");
    }

    /// Beside a sign-in that was strange an alert names the session that was there; that says nothing of where it goes.
    async fn a_cookie_that_is_used_elsewhere_is_judged_although_an_alert_names_its_session(server: TestServer) {
        let world = World::beside(&server, &[("SESSIOND_RISK_ACTION", "revoke")]).await;
        let (admin, person) = (server.admin().await, newcomer(&server).await);
        let home = world.session(&person, LISBON).await;
        let far = world.session(&person, TOKYO).await;
        ask_from(&far, TOKYO).await.assert_problem(401, "unauthenticated");
        ask_from(&home, LISBON).await.assert_status(200);
        assert_eq!(named(&alerts_about(&admin, &person).await[0]).len(), 2);
        assert_eq!(risk_of(&server, &home), "0");
        ask_from(&home.copy_at(&world.node.url()), TOKYO).await.assert_status(200);
        until("the end", SOON, async || ask_from(&home, LISBON).await.status == 401).await;
        assert_eq!(risk_of(&server, &home), "60");
        assert_eq!(alerts_about(&admin, &person).await.len(), 1, "of one matter");
    }

    async fn a_cookie_that_is_used_elsewhere_proves_itself_although_an_alert_names_its_session(server: TestServer) {
        let world = World::beside(&server, &[("SESSIOND_RISK_ACTION", "step_up")]).await;
        let (admin, person) = (server.admin().await, newcomer(&server).await);
        let home = world.session(&person, LISBON).await;
        world.session(&person, TOKYO).await;
        assert_eq!(count_challenged(&server), 1);
        let thief = home.copy_at(&world.node.url());
        ask_from(&thief, TOKYO).await.assert_status(200);
        until("the demand", SOON, async || count_challenged(&server) == 2).await;
        // Once: the same again is no news, the hour after neither.
        home.reauthenticate(PASSWORD).await.assert_status(200);
        for _ in 0..4 {
            server.clock.advance(HOUR / 3);
            for address in [LISBON, TOKYO] {
                ask_from(&home, address).await.assert_status(200);
            }
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        home.reauthenticate(PASSWORD).await.assert_status(200);
        home.rename(Some("Ana")).await.assert_status(200);
        let admin = admin.person().sign_in_again().await;
        assert_eq!(alerts_about(&admin, &person).await.len(), 1);
    }
}
