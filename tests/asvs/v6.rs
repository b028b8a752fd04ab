//! V6, authentication: passwords. What several rows need from the gate is shown in `tests/api/password_gate.rs` and
//! `tests/api/enumeration.rs`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::{PASSWORD, SignedIn, new_email};
use crate::support::hash_cost;
use crate::support::process::{command_line, command_line_ok};
use crate::support::requests::{Requests, Response};
use crate::support::server::{Backend, TestServer, on_each_backend};

/// The table that is published.
const TABLE: &str = include_str!("../../docs/asvs/v6.md");
const NEW: &str = "a wholly different password";

/// What is wrong with the password of an answer, in the words that a person reads.
fn said(answer: &Response) -> String {
    answer.assert_problem(422, "invalid-body");
    let errors = answer.json();
    let field = errors.pointer("/errors/0/field").and_then(Value::as_str).unwrap_or_default();
    assert!(field.ends_with("password"), "{answer}");
    errors.pointer("/errors/0/detail").and_then(Value::as_str).expect("a sentence").to_owned()
}

/// Every way of choosing a password refuses this one; the sentences.
async fn refused_everywhere(server: &TestServer, owner: &SignedIn, password: &str) -> Vec<String> {
    let visitor = server.anonymous();
    let link = server.reset_token(&owner.email);
    let reset = json!({ "token": link, "new_password": password });
    let email = new_email();
    let typed = command_line(&server.settings, &["user", "add", &email], &format!("{password}\n"));
    assert!(!typed.status.success(), "the command line obeys the same rules");
    let answers = [
        visitor.register_as(&email, password).await,
        owner.change_password(PASSWORD, password).await,
        visitor.post_json("/reset", &reset).await,
    ];
    assert!(owner.is_signed_in().await, "nothing was changed");
    let complaint = String::from_utf8_lossy(&typed.stderr).trim().to_owned();
    answers.iter().map(said).chain([complaint]).collect()
}

on_each_backend! {
    async fn v6_2_1_a_password_has_at_least_eight_characters(server: TestServer) {
        let owner = server.signed_in().await;
        for sentence in refused_everywhere(&server, &owner, "zkqvwxj").await {
            assert!(sentence.contains("Choose a password of at least 8 characters."), "{sentence}");
        }
        server.anonymous().register_as(&new_email(), "zkqvwxjp").await.assert_status(201);
    }

    async fn v6_2_1_fifteen_where_the_operator_says_so(server: TestServer) with { "SESSIOND_PASSWORD_MIN_LENGTH": "15" } {
        let owner = server.signed_in().await;
        for sentence in refused_everywhere(&server, &owner, "zkqvwxjpfbmghd").await {
            assert!(sentence.contains("Choose a password of at least 15 characters."), "{sentence}");
        }
        server.anonymous().register_as(&new_email(), "zkqvwxjpfbmghdt").await.assert_status(201);
    }

    async fn v6_2_2_v6_2_3_a_change_needs_the_current_password_and_the_new_one(server: TestServer) {
        let owner = server.signed_in().await;
        for (body, field) in [
            (json!({ "new_password": NEW }), "current_password"),
            (json!({ "current_password": PASSWORD }), "new_password"),
        ] {
            let answer = owner.put_json("/me/password", &body).await;
            answer.assert_problem(422, "invalid-body");
            assert_eq!(answer.json().pointer("/errors/0/field"), Some(&json!(field)));
        }
        owner.change_password("not my password at all", NEW).await.assert_problem(403, "wrong-password");
        owner.change_password(PASSWORD, NEW).await.assert_status(200);
        server.anonymous().login(&owner.email, NEW).await.assert_status(200);
    }

    async fn v6_2_4_v6_2_12_what_most_people_use_is_refused_with_the_reason(server: TestServer) {
        let owner = server.signed_in().await;
        for common in ["password1234567", "iloveyou1", "P@ssw0rd1", "qwertyuiop", "1234567890"] {
            for sentence in refused_everywhere(&server, &owner, common).await {
                let has_reason = ["easy to guess", "try these first"].iter().any(|reason| sentence.contains(reason));
                assert!(has_reason, "{common}: {sentence}");
                assert!(sentence.contains("Choose several unrelated words"), "it says what to do: {sentence}");
                assert!(!sentence.contains(common), "never the password: {sentence}");
            }
        }
    }

    async fn v6_2_5_any_character_is_welcome_and_none_is_asked_for(server: TestServer) {
        let visitor = server.anonymous();
        for typed in [
            "only lower case words",
            "\u{1f980}\u{1f433}\u{1f344}\u{1f3bb}\u{1f9ca}\u{1f6b2}\u{1f319}\u{1f9f5}",
            "q8\tzv\u{7}m2\u{1b}kx",
            "q8zv\0m2kx\0w",
            "  spaces around it  ",
        ] {
            let email = new_email();
            visitor.register_as(&email, typed).await.assert_status(201);
            visitor.login(&email, typed).await.assert_status(200);
        }
    }

    async fn v6_2_8_a_password_is_compared_exactly_as_it_was_typed(server: TestServer) {
        let visitor = server.anonymous();
        let words: String = "violet tram sings over cold rivers; ".chars().cycle().take(99).collect();
        let decomposed = format!("{words}e\u{301}");
        let email = new_email();
        visitor.register_as(&email, &decomposed).await.assert_status(201);
        // One password, however a keyboard composes it; everything else is another.
        visitor.login(&email, &format!("{words}\u{e9}")).await.assert_status(200);
        for other in [format!("{words}e"), format!("{}\u{e9}", words.to_uppercase()), format!(" {words}\u{e9}"), words] {
            visitor.login(&email, &other).await.assert_problem(401, "wrong-credentials");
        }
    }

    async fn v6_2_9_sixty_four_characters_and_more_are_allowed(server: TestServer) {
        let visitor = server.anonymous();
        let of = |length| "violet tram sings over cold rivers; ".chars().cycle().take(length).collect::<String>();
        for length in [64, 256] {
            let email = new_email();
            visitor.register_as(&email, &of(length)).await.assert_status(201);
            visitor.login(&email, &of(length)).await.assert_status(200);
        }
        let before = server.node().app().sign_in.hashing();
        assert!(said(&visitor.register_as(&new_email(), &of(257)).await).contains("at most 256 characters"));
        visitor.login("somebody@example.org", &of(257)).await.assert_problem(422, "invalid-body");
        assert_eq!(server.node().app().sign_in.hashing(), before, "refused before hashing");
    }

    async fn v6_2_10_a_password_does_not_grow_old(server: TestServer) {
        let owner = server.signed_in().await;
        server.clock.advance(Duration::from_secs(3_650 * 86_400));
        server.anonymous().login(&owner.email, PASSWORD).await.assert_status(200);
    }

    async fn v6_2_11_words_of_the_service_and_of_the_person_are_refused(server: TestServer)
        with { "SESSIOND_ORIGIN": "https://login.winterberg.example" } {
        let visitor = server.anonymous();
        for guess in ["Sessiond2026!", "winterberg2026", "Winterberg!"] {
            let sentence = said(&visitor.register_as(&new_email(), guess).await);
            assert!(sentence.contains("the name of this service"), "{guess}: {sentence}");
        }
        let body = |password: &str| json!({
            "email": "ana.petrosyan@example.org", "name": "Ana Petrosyan", "password": password
        });
        for guess in ["petrosyan1", "Petrosyan-Ana", "ana.petrosyan@example.org"] {
            let sentence = said(&visitor.post_json("/register", &body(guess)).await);
            assert!(sentence.contains("your name, your address"), "{guess}: {sentence}");
        }
        visitor.post_json("/register", &body(PASSWORD)).await.assert_status(201);
        let typed = ["user", "add", "eva.marchetti@example.org", "--name", "Eva Marchetti"];
        let refused = command_line(&server.settings, &typed, "marchetti1\n");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("your name"), "{refused:?}");
    }

    async fn v6_2_existing_passwords_still_sign_in(server: TestServer) {
        hash_cost::full();
        // One from before there were rules: stored as it would be today.
        let owner = server.signed_in().await;
        let (mut hasher, random) = (sessiond::domain::password::Hasher::default(), sessiond::domain::SystemRandom);
        let stored = hasher.hash(&sessiond::domain::Password::new("password".to_owned()), &random).expect("a hash");
        let update = format!("UPDATE users SET password_hash = '{stored}' WHERE email = '{}'", owner.email);
        server.stores.database.execute(&update);
        server.anonymous().login(&owner.email, "password").await.assert_status(200);
    }

    async fn v6_3_2_a_fresh_installation_has_no_account(server: TestServer) {
        assert_eq!(server.stores.database.count("users", "1 = 1"), 0);
        for (email, password) in
            [("admin", "admin"), ("admin@localhost", "admin"), ("root", "root"), ("sessiond", "sessiond"), ("", "")]
        {
            server.anonymous().login(email, password).await.assert_problem(401, "wrong-credentials");
        }
    }

    async fn v6_3_4_there_is_no_second_spelling_of_the_way_in(server: TestServer) {
        let owner = server.signed_in().await;
        let body = json!({ "email": owner.email, "password": PASSWORD });
        for path in ["//login", "/login/", "/Login", "/LOGIN", "/./login/.", "/login;x", "/login%2f", "/%6cogin", "/l%6Fgin", "/%6C%6F%67%69%6E", "/api/login"] {
            let answer = server.anonymous().post_json(path, &body).await;
            assert_eq!(answer.status, 404, "{path}: {answer}");
        }
    }

    async fn v6_3_7_a_change_of_credentials_is_an_event(server: TestServer) {
        let owner = server.signed_in().await;
        let events = |event: &str| {
            server.stores.database.count("audit", &format!("event = '{event}' AND user_id = '{}'", owner.user_id))
        };
        owner.change_password(PASSWORD, NEW).await.assert_status(200);
        assert_eq!(events("authn_password_change"), 1);
        let body = json!({ "token": server.reset_token(&owner.email), "new_password": PASSWORD });
        server.anonymous().post_json("/reset", &body).await.assert_status(204);
        assert_eq!((events("authn_password_reset_issued"), events("authn_password_reset")), (1, 1));
    }

    async fn v6_4_1_a_reset_link_is_random_and_good_once_for_an_hour(server: TestServer) {
        let owner = server.signed_in().await;
        let links: Vec<String> = (0..3).map(|_| server.reset_token(&owner.email)).collect();
        assert!(links.iter().all(|link| links.iter().filter(|other| *other == link).count() == 1));
        let use_link = async |link: &str| {
            server.anonymous().post_json("/reset", &json!({ "token": link, "new_password": NEW })).await
        };
        use_link(&links[1]).await.assert_problem(422, "invalid-body");
        // A password that is refused does not use it up.
        let weak = json!({ "token": links[2], "new_password": "password1" });
        server.anonymous().post_json("/reset", &weak).await.assert_problem(422, "invalid-body");
        use_link(&links[2]).await.assert_status(204);
        use_link(&links[2]).await.assert_problem(422, "invalid-body");
        let late = server.reset_token(&owner.email);
        server.clock.advance(Duration::from_secs(3_601));
        use_link(&late).await.assert_problem(422, "invalid-body");
    }
}

async fn document(server: &TestServer) -> Value {
    server.anonymous().get("/openapi.json").await.json()
}

/// Every operation that takes a password: `POST /login`.
async fn ways_with_a_password(server: &TestServer) -> Vec<String> {
    let document = document(server).await;
    let schemas = &document["components"]["schemas"];
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let name = body.as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
            let fields = schemas[name]["properties"].as_object();
            if fields.is_some_and(|fields| fields.keys().any(|field| field.ends_with("password"))) {
                found.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

#[tokio::test]
async fn v6_1_3_every_way_that_takes_a_password_is_in_the_table() {
    let server = TestServer::start(Backend::Embedded).await;
    let ways = ways_with_a_password(&server).await;
    assert!(ways.len() >= 4, "{ways:?}");
    for way in &ways {
        assert!(TABLE.contains(&format!("`{way}`")), "docs/asvs/v6.md does not tell of {way}");
    }
}

#[tokio::test]
async fn v6_4_2_nobody_is_asked_for_a_hint_or_a_secret_answer() {
    let server = TestServer::start(Backend::Embedded).await;
    let text = document(&server).await.to_string().to_lowercase();
    for word in ["hint", "secret question", "secret_question", "security question", "mother"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[tokio::test]
async fn v6_4_6_an_administrator_cannot_choose_a_password_for_somebody() {
    let server = TestServer::start(Backend::Embedded).await;
    let ways = ways_with_a_password(&server).await;
    assert!(ways.iter().all(|way| !way.contains("/admin")), "{ways:?}");
    let owner = server.signed_in().await;
    let shown = command_line_ok(&server.settings, &["user", "reset", &owner.email], "");
    assert!(shown.contains("/reset#"), "the owner gets a link to choose one: {shown}");
}

/// The rows of the requirements that are about passwords; each has its line in the table.
#[test]
fn every_row_is_in_the_table() {
    let rows = [
        "6.1.1", "6.1.3", "6.2.1", "6.2.2", "6.2.3", "6.2.4", "6.2.5", "6.2.8", "6.2.9", "6.2.10", "6.2.11", "6.2.12",
        "6.3.1", "6.3.2", "6.3.3", "6.3.4", "6.3.5", "6.3.7", "6.3.8", "6.4.1", "6.4.2", "6.4.6", "6.7.2",
    ];
    for row in rows {
        let line = TABLE.lines().find(|line| line.starts_with(&format!("| {row} |")));
        let line = line.unwrap_or_else(|| panic!("{row} is not in docs/asvs/v6.md"));
        let verdict = line.split('|').nth(3).unwrap_or_default().trim();
        assert!(["met", "not met", "not applicable"].contains(&verdict), "{line}");
    }
}
