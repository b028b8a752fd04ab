//! V7, session management: every row.
//!
//! Also the rows of the cheat sheets and the advisories that ask for the same; what takes longer is in the files that
//! `docs/asvs/v7.md` names.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use sessiond::config::Config;
use sessiond::domain::{SystemRandom, Token};

use crate::support::client::{COOKIE, PASSWORD, SignedIn, new_email};
use crate::support::hash_cost;
use crate::support::issue::signed;
use crate::support::process::command_line_ok;
use crate::support::requests::{Browser, Requests, Response};
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::stopwatch;

const TABLE: &str = include_str!("../../docs/asvs/v7.md");
const CONFIGURATION: &str = include_str!("../../docs/configuration.md");
const NEW: &str = "another four plain words";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Longer than the default of `SESSIOND_STEP_UP_AGE`, shorter than that of the idle timeout.
const A_WHILE: Duration = Duration::from_secs(16 * 60);

/// Every row of V7, as ASVS 5.0 counts them.
const ROWS: [&str; 19] = [
    "7.1.1", "7.1.2", "7.1.3", "7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.3.1", "7.3.2", "7.4.1", "7.4.2", "7.4.3",
    "7.4.4", "7.4.5", "7.5.1", "7.5.2", "7.5.3", "7.6.1", "7.6.2",
];

/// Whoever has this cookie, rightly or not.
struct Holder(Browser);

impl Requests for Holder {
    fn browser(&self) -> &Browser {
        &self.0
    }
}

fn holder(server: &TestServer, cookie: &str) -> Holder {
    let browser = Browser::at(&server.url());
    browser.set_cookie(COOKIE, cookie);
    Holder(browser)
}

/// Fifty sign-ins at once, over two nodes: their answers, and who of them is in. One that was told to come back does.
async fn fifty_sign_ins(server: &TestServer, email: &str) -> Vec<(Response, SignedIn)> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let other = server.another_node().await;
    let sign_in = |number: usize| {
        let (url, email) = (if number.is_multiple_of(2) { server.url() } else { other.url() }, email.to_owned());
        async move {
            let watch = stopwatch();
            loop {
                let visitor = crate::support::client::Anonymous::at(&url);
                let answer = visitor.login(&email, PASSWORD).await;
                match answer.status {
                    200 => return (answer.clone(), Some(visitor.into_signed_in(&email, PASSWORD, &answer))),
                    // The throttle lets five passwords of one account be tried at once; the others come back.
                    429 | 503 if watch() < PATIENCE => tokio::time::sleep(Duration::from_millis(250)).await,
                    _ => return (answer, None),
                }
            }
        }
    };
    let attempts: Vec<_> = (0..50).map(|number| tokio::spawn(sign_in(number))).collect();
    let mut issued = Vec::new();
    for attempt in attempts {
        let (answer, person) = attempt.await.expect("an answer");
        assert!([200, 409].contains(&answer.status), "{answer}");
        issued.extend(person.map(|person| (answer, person)));
    }
    // The node goes, and what it has issued is asked for at the other.
    issued.into_iter().map(|(answer, person)| (answer, person.copy_at(&server.url()))).collect()
}

/// Panics unless exactly `limit` of these are alive, those that the ledger has as living.
async fn assert_alive(server: &TestServer, issued: &[(Response, SignedIn)], limit: usize) {
    let mut alive = 0;
    for (_, person) in issued {
        let lives =
            server.stores.database.count("sessions", &format!("id = '{}' AND ended_at IS NULL", person.session_id));
        assert_eq!(person.is_signed_in().await, lives == 1, "what is over is over for everybody");
        alive += lives;
    }
    assert_eq!(alive, limit);
    assert_eq!(server.stores.database.count("sessions", "ended_at IS NULL"), limit);
}

fn text(body: &Value, pointer: &str) -> String {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}: {body}")).to_owned()
}

#[test]
fn every_row_of_v7_is_in_the_table_with_a_verdict_and_a_test_that_exists() {
    let sources = [
        include_str!("v7.rs"),
        include_str!("../api/step_up.rs"),
        include_str!("../api/device_change.rs"),
        include_str!("../races/session_limit.rs"),
        include_str!("../browser/account.rs"),
        include_str!("../api/cookies.rs"),
        include_str!("../api/accounts.rs"),
    ];
    let lines: Vec<Vec<&str>> = TABLE
        .lines()
        .filter(|line| line.starts_with("| 7."))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let found: Vec<&str> = lines.iter().filter_map(|cells| cells.first().copied()).collect();
    assert_eq!(found, ROWS);
    for cells in &lines {
        let [id, level, verdict, why] = cells.as_slice() else { panic!("four cells: {cells:?}") };
        assert!(["1", "2", "3"].contains(level), "{id}: {level}");
        assert!(["met", "partly met", "not met", "not applicable"].contains(verdict), "{id}: {verdict}");
        let named: Vec<&str> = why.split('`').skip(1).step_by(2).filter(|word| word.contains('_')).collect();
        let tests = named.iter().filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase()));
        for test in tests {
            assert!(sources.iter().any(|source| source.contains(&format!("fn {test}("))), "{id}: there is no {test}");
        }
    }
}

#[test]
fn v7_1_1_the_lifetimes_are_documented_and_in_force() {
    let config = Config::from_pairs([("DATABASE_URL", "sqlite://sessiond.db")]).expect("the defaults are good");
    assert_eq!((config.terms.idle, config.terms.absolute), (30 * MINUTE, 720 * MINUTE));
    let day = 1_440 * MINUTE;
    assert_eq!((config.remember_terms.idle, config.remember_terms.absolute), (14 * day, 30 * day));
    assert!(CONFIGURATION.contains("| `SESSIOND_IDLE_TIMEOUT` | 30m |"));
    assert!(CONFIGURATION.contains("| `SESSIOND_ABSOLUTE_TIMEOUT` | 12h |"));
    for figure in ["30 minutes", "12 hours", "14 days", "30 days", "NIST"] {
        assert!(TABLE.contains(figure), "{figure}");
    }
}

#[test]
fn v7_2_3_a_token_is_128_random_bits() {
    const SAMPLES: usize = 10_000;
    let mut ones = [0_usize; 128];
    let mut seen = HashSet::new();
    for _ in 0..SAMPLES {
        let digits = Token::generate(&SystemRandom).expose().replace('-', "");
        let token = u128::from_str_radix(&digits, 16).expect("sixteen bytes");
        assert!(seen.insert(token), "the same token twice");
        (0..128).for_each(|bit| ones[bit] += usize::from(token >> bit & 1 == 1));
    }
    // Five standard deviations: a fixed bit would be a hundred away.
    let (least, most) = (SAMPLES / 2 - 250, SAMPLES / 2 + 250);
    assert!(ones.iter().all(|count| (least..most).contains(count)), "{ones:?}");
}

on_each_backend! {
    async fn v7_1_2_at_the_limit_the_oldest_sessions_make_room_exactly(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "3", "SESSIOND_MAX_SESSIONS_POLICY": "evict_oldest" } {
        hash_cost::full();
        let email = new_email();
        server.anonymous().register(&email).await.assert_status(201);
        let issued = fifty_sign_ins(&server, &email).await;
        assert_eq!(issued.len(), 50, "nobody is refused");
        assert_alive(&server, &issued, 3).await;
    }

    async fn v7_1_2_at_the_limit_sign_ins_are_refused_exactly(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "3", "SESSIOND_MAX_SESSIONS_POLICY": "refuse" } {
        hash_cost::full();
        let email = new_email();
        server.anonymous().register(&email).await.assert_status(201);
        let issued = fifty_sign_ins(&server, &email).await;
        assert_eq!(issued.len(), 3, "the others are refused");
        assert_alive(&server, &issued, 3).await;
    }

    async fn v7_2_1_only_the_server_verifies_and_a_changed_cookie_opens_nothing(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = owner.cookie();
        for place in (0..cookie.len()).step_by(5) {
            let changed: String = cookie
                .char_indices()
                .map(|(at, c)| match (at == place, c) {
                    (true, 'a') => 'b',
                    (true, _) => 'a',
                    (false, c) => c,
                })
                .collect();
            if changed == cookie { continue; }
            for path in ["/me", "/sessions", "/auth/forward"] {
                assert_eq!(holder(&server, &changed).get(path).await.status, 401, "{path}, byte {place}");
            }
        }
        server.stores.database.execute("ALTER TABLE sessions RENAME TO sessions_away");
        if server.stores.redis_if_any().is_none() {
            assert_eq!(owner.get("/auth/forward").await.status, 503, "nobody says yes unasked");
        }
        assert_eq!(owner.get("/me").await.status, 503);
        server.stores.database.execute("ALTER TABLE sessions_away RENAME TO sessions");
    }

    async fn v7_2_2_tokens_are_made_for_each_session_and_nothing_static_is_accepted(server: TestServer) {
        let owner = server.signed_in().await;
        let mut tokens = HashSet::from([owner.token()]);
        for _ in 0..60 {
            assert!(tokens.insert(server.issue(&owner).await.token()), "the same token twice");
        }
        let (cookie, token, visitor) = (owner.cookie(), owner.token(), server.anonymous());
        for (name, value) in [
            ("Authorization", format!("Bearer {token}")),
            ("Authorization", format!("Bearer {cookie}")),
            ("X-Api-Key", token.clone()),
            ("X-Session-Id", owner.session_id.clone()),
            ("X-Session-User", owner.user_id.clone()),
        ] {
            visitor.call(Method::GET, "/me").header(name, &value).send().await.assert_status(401);
        }
        visitor.get(&format!("/me?token={token}&sid={cookie}")).await.assert_status(401);
    }

    async fn v7_2_4_every_authentication_makes_a_new_token_and_the_old_one_dies(server: TestServer) {
        let owner = server.signed_in().await;
        let mut tokens = HashSet::from([owner.token()]);
        // Signing in again.
        let before = owner.copy_at(&server.url());
        owner.post_json("/login", &json!({ "email": owner.email, "password": PASSWORD })).await.assert_status(200);
        assert!(tokens.insert(owner.token()) && !before.is_signed_in().await && owner.is_signed_in().await);
        // Proving again who one is: the same session, another token.
        let session = text(&owner.me().await.json(), "/session/id");
        let before = owner.copy_at(&server.url());
        let answer = owner.reauthenticate(PASSWORD).await;
        assert_eq!(text(&answer.assert_status(200).json(), "/session/id"), session);
        assert!(tokens.insert(owner.token()) && !before.is_signed_in().await && owner.is_signed_in().await);
        assert_eq!(before.get("/auth/forward").await.status, 401);
        // A new password.
        let before = owner.copy_at(&server.url());
        owner.change_password(PASSWORD, NEW).await.assert_status(200);
        assert!(tokens.insert(owner.token()) && !before.is_signed_in().await && owner.is_signed_in().await);
    }

    /// V-28: the session's name and its cookie are never kept across a sign-in.
    async fn v7_2_4_a_cookie_that_was_planted_never_becomes_the_session(server: TestServer) {
        let (owner, thief) = (server.signed_in().await, server.signed_in().await);
        let unknown = signed(&server.settings, &Token::generate(&SystemRandom).expose());
        for planted in [thief.cookie(), unknown] {
            let victim = holder(&server, &planted);
            let body = json!({ "email": owner.email, "password": PASSWORD });
            let answer = victim.post_json("/login", &body).await;
            answer.assert_status(200);
            assert_ne!(victim.browser().cookie(COOKIE), Some(planted.clone()));
            assert_eq!(text(&victim.get("/me").await.json(), "/user/id"), owner.user_id);
            assert_ne!(text(&answer.json(), "/session/id"), thief.session_id);
            assert_eq!(holder(&server, &planted).get("/me").await.status, 401, "whoever planted it is not signed in");
        }
    }

    async fn v7_3_1_a_session_that_is_not_used_ends(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "60s", "SESSIOND_ABSOLUTE_TIMEOUT": "1h" } {
        let owner = server.signed_in().await;
        assert_eq!(owner.get("/auth/forward").await.status, 200);
        server.clock.advance(50 * SECOND);
        assert_eq!(owner.get("/auth/forward").await.status, 200);
        server.clock.advance(61 * SECOND);
        assert_eq!(owner.get("/auth/forward").await.status, 401);
    }

    async fn v7_3_2_a_session_ends_however_busy_it_is_and_a_new_proof_does_not_prolong_it(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "10m", "SESSIOND_ABSOLUTE_TIMEOUT": "30m" } {
        let owner = server.signed_in().await;
        let ends = text(&owner.me().await.json(), "/session/expires_at");
        for _ in 0..3 {
            server.clock.advance(9 * MINUTE);
            assert_eq!(owner.get("/auth/forward").await.status, 200);
        }
        let answer = owner.reauthenticate(PASSWORD).await;
        assert_eq!(text(&answer.assert_status(200).json(), "/session/expires_at"), ends);
        if let Some(servers) = server.stores.servers_if_any() {
            assert_eq!(owner.get("/auth/forward").await.status, 200);
            for key in servers.keys("session:*") {
                let left: i64 = servers.of(&key).cli(&["PTTL", &key]);
                assert!((1..=180_000).contains(&left), "{left} ms");
            }
        }
        server.clock.advance(3 * MINUTE + SECOND);
        assert_eq!(owner.get("/auth/forward").await.status, 401);
    }

    async fn v7_4_1_what_has_ended_is_unusable_at_once_on_every_node(server: TestServer) {
        let (owner, node) = (server.signed_in().await, server.another_node().await);
        let elsewhere = owner.copy_at(&node.url());
        assert!(owner.is_signed_in().await && elsewhere.is_signed_in().await);
        let copy = owner.copy_at(&server.url());
        owner.sign_out().await.assert_status(204);
        assert!(server.stores.servers_if_any().is_none_or(|servers| servers.keys("session:*").is_empty()));
        assert!(!elsewhere.is_signed_in().await && !copy.is_signed_in().await);
        let ended = format!("id = '{}' AND ended_at IS NOT NULL", owner.session_id);
        assert_eq!(server.stores.database.count("sessions", &ended), 1);
    }

    async fn v7_4_2_a_disabled_account_has_no_session_and_enabling_revives_none(server: TestServer) {
        let (admin, owner) = (server.admin().await, server.signed_in().await);
        let other = owner.sign_in_again().await;
        admin.disable(&owner.user_id).await.assert_status(204);
        assert!(!owner.is_signed_in().await && !other.is_signed_in().await);
        admin.enable(&owner.user_id).await.assert_status(204);
        assert!(!owner.is_signed_in().await && !other.is_signed_in().await);
    }

    async fn v7_4_3_a_new_password_ends_every_other_session(server: TestServer) {
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        assert!(other.is_signed_in().await);
        owner.change_password(PASSWORD, NEW).await.assert_status(200);
        assert!(!other.is_signed_in().await && owner.is_signed_in().await);
    }

    async fn v7_4_4_every_page_for_who_is_signed_in_has_a_way_out(server: TestServer) {
        for path in ["/account", "/console"] {
            let page = server.anonymous().get(path).await.text();
            assert!(page.contains("<button id=\"sign-out\""), "{page}");
        }
    }

    async fn v7_4_5_administrators_end_the_sessions_of_one_user_and_of_all(server: TestServer) {
        let (admin, owner, other) = (server.admin().await, server.signed_in().await, server.signed_in().await);
        let (one, two) = (server.issue(&owner).await, server.issue(&owner).await);
        command_line_ok(&server.settings, &["sessions", "revoke", &one.session_id], "");
        assert!(!one.is_signed_in().await && two.is_signed_in().await && owner.is_signed_in().await);
        let all_of_owner = format!("/admin/users/{}/sessions", owner.user_id);
        other.delete(&all_of_owner).await.assert_problem(403, "forbidden");
        assert_eq!(admin.delete(&all_of_owner).await.assert_status(200).json(), json!({ "revoked": 2 }));
        assert!(!two.is_signed_in().await && !owner.is_signed_in().await && other.is_signed_in().await);
        let everybody = json!({ "filter": {}, "all": true });
        let answer = admin.post_json("/admin/sessions/revoke", &everybody).await.assert_status(200).json();
        assert_eq!((&answer["revoked"], &answer["more"]), (&json!(1), &json!(false)), "{answer}");
        assert!(!other.is_signed_in().await && admin.person().is_signed_in().await, "but for the one that asks");
        let lines = |event: &str, what: &str| server.stores.database.count("audit", &format!("event = '{event}' AND {what}"));
        assert_eq!(lines("session_revoked", &format!("actor = '{}'", admin.person().user_id)), 3);
        assert_eq!(lines("sessions_revoked_by_filter", "1 = 1"), 1);
    }

    async fn v7_5_1_a_new_password_wants_the_current_one_however_fresh_the_session_is(server: TestServer) {
        let owner = server.signed_in().await;
        owner.reauthenticate(PASSWORD).await.assert_status(200);
        owner.change_password("not the password", NEW).await.assert_problem(403, "wrong-password");
        owner.put_json("/me/password", &json!({ "new_password": NEW })).await.assert_status(422);
        // It is a proof in itself: an old session needs no second one.
        server.clock.advance(A_WHILE);
        owner.change_password(PASSWORD, NEW).await.assert_status(200);
        let other = server.issue(&owner).await;
        owner.end_session(&other.session_id).await.assert_status(204);
    }

    async fn v7_5_2_people_see_all_their_sessions_and_end_any_after_proving_who_they_are(server: TestServer) {
        let owner = server.signed_in().await;
        let (first, second) = (server.issue(&owner).await, server.issue(&owner).await);
        let ids: HashSet<String> = owner.sessions().await.iter().map(|session| text(session, "/id")).collect();
        assert_eq!(ids, HashSet::from([&owner, &first, &second].map(|person| person.session_id.clone())));
        server.clock.advance(A_WHILE);
        owner.end_session(&first.session_id).await.assert_problem(403, "step-up-required");
        owner.end_others().await.assert_problem(403, "step-up-required");
        owner.end_all().await.assert_problem(403, "step-up-required");
        assert!(first.is_signed_in().await && second.is_signed_in().await);
        owner.reauthenticate(PASSWORD).await.assert_status(200);
        owner.end_session(&first.session_id).await.assert_status(204);
        assert_eq!(owner.end_others().await.assert_status(200).json()["revoked"], 1);
        assert!(!first.is_signed_in().await && !second.is_signed_in().await && owner.is_signed_in().await);
    }

    async fn v7_5_3_what_administrators_change_wants_a_recent_proof(server: TestServer) {
        let (admin, owner) = (server.admin().await, server.signed_in().await);
        server.clock.advance(A_WHILE);
        admin.disable(&owner.user_id).await.assert_problem(403, "step-up-required");
        admin.enable(&owner.user_id).await.assert_problem(403, "step-up-required");
        assert!(owner.is_signed_in().await, "nothing has happened");
        admin.person().reauthenticate(PASSWORD).await.assert_status(200);
        admin.disable(&owner.user_id).await.assert_status(204);
        assert!(!owner.is_signed_in().await);
    }

    async fn v7_6_2_a_session_begins_only_with_credentials_that_somebody_sends_from_here(server: TestServer) {
        let (owner, visitor) = (server.signed_in().await, server.anonymous());
        let before = server.stores.database.count("sessions", "1 = 1");
        for path in ["/", "/account", "/reset", "/login", "/me", "/sessions", "/auth/forward", "/openapi.json"] {
            assert!(visitor.get(path).await.set_cookies().is_empty(), "{path}");
        }
        let body = json!({ "email": owner.email, "password": PASSWORD });
        let forged = visitor.call(Method::POST, "/login").header("Origin", "https://evil.example").json(&body);
        let answer = forged.send().await;
        assert!(answer.assert_problem(403, "forbidden-origin").set_cookies().is_empty());
        assert_eq!(server.stores.database.count("sessions", "1 = 1"), before);
    }

    /// C-07, C-15: what a list shows, and that the row knows when its owner last proved who they are.
    async fn c_15_the_list_shows_where_when_and_with_what(server: TestServer) {
        let owner = server.signed_in().await;
        let list = owner.sessions().await;
        let shown = list.first().expect("a session");
        for pointer in ["/ip", "/created_at", "/last_seen_at", "/authenticated_at", "/expires_at", "/idle_expires_at"] {
            assert!(!text(shown, pointer).is_empty());
        }
        assert!(shown.pointer("/device/kind").is_some() && shown["current"] == true);
        let hash = URL_SAFE_NO_PAD.encode(Token::parse(&owner.token()).expect("a token").hash().as_bytes());
        let all = serde_json::to_string(&list).expect("a list");
        assert!(!all.contains(&owner.token()) && !all.contains(&hash));
    }

    /// V-10: two people at one browser, one after the other, with and without signing out in between.
    async fn v_10_the_next_person_at_a_browser_never_has_the_session_of_the_one_before(server: TestServer) {
        let (ana, ben) = (server.signed_in().await, server.signed_in().await);
        let first = ana.copy_at(&server.url());
        for (who, email, other) in [("Ben", &ben.email, &ana.email), ("Ana", &ana.email, &ben.email)] {
            let before = ana.copy_at(&server.url());
            ana.post_json("/login", &json!({ "email": email, "password": PASSWORD })).await.assert_status(200);
            assert!(!before.is_signed_in().await, "{who}: the session before is over");
            assert_eq!(&text(&ana.me().await.json(), "/user/email"), email);
            assert!(!serde_json::to_string(&ana.sessions().await).expect("a list").contains(other.as_str()));
        }
        assert!(!first.is_signed_in().await);
    }
}
