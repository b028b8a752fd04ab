//! Rows of OWASP's cheat sheets (C-…), of HTTP and cookie standards (H-…) and of what befell others (V-…), as far as they
//! are not shown elsewhere.

use serde_json::{Value, json};

use crate::api::tools::{browser_with, fingerprint, only_cookie};
use crate::support::client::{PASSWORD, new_email};
use crate::support::issue::signed;
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;

on_each_backend! {
    async fn c_02_c_03_the_cookie_names_no_product_and_the_token_means_nothing(server: TestServer) {
        let owner = server.signed_in().await;
        let mut tokens = vec![owner.token()];
        for _ in 0..20 {
            tokens.push(server.issue(&owner).await.token());
        }
        for (number, token) in tokens.iter().enumerate() {
            // No moment and no person in it: two of one person, made within a moment, begin and end differently.
            for other in tokens.iter().skip(number + 1) {
                let alike = token.bytes().zip(other.bytes()).take_while(|(one, two)| one == two).count();
                assert!(alike < 8, "{token} and {other} begin alike");
                assert_ne!(token.get(24..), other.get(24..));
            }
            assert!(!token.contains(&owner.user_id) && !token.contains(&owner.session_id));
        }
        let visitor = server.anonymous();
        let line = only_cookie(visitor.login(&owner.email, PASSWORD).await.assert_status(200));
        for product in ["actix", "rust", "php", "jsession", "connect.sid", "sessiond", "id=0"] {
            assert!(!line.to_lowercase().contains(product), "{product}: {line}");
        }
    }

    async fn c_04_v_27_a_token_that_was_not_issued_here_is_never_taken_up(server: TestServer) {
        let owner = server.signed_in().await;
        let before = fingerprint(&server.stores.database);
        for number in 0..50_u32 {
            let invented = format!("01937c5e-7b1a-7c3d-8e4f-{number:012x}");
            // Even signed as we would sign it: it takes the key to get this far.
            let holder = browser_with(&server, &signed(&server.settings, &invented));
            let answer = holder.get("/me").await;
            answer.assert_problem(401, "unauthenticated");
            assert!(answer.set_cookies().is_empty(), "{answer}");
        }
        assert_eq!(fingerprint(&server.stores.database), before, "no session was made");
        // And a sign-in with it in the jar makes another one.
        let invented = "01937c5e-7b1a-7c3d-8e4f-001122334455";
        let holder = browser_with(&server, &signed(&server.settings, invented));
        let answer = holder.post_json("/login", &json!({ "email": owner.email, "password": PASSWORD })).await;
        assert!(!only_cookie(answer.assert_status(200)).contains(invented));
        browser_with(&server, &signed(&server.settings, invented)).get("/me").await.assert_problem(401, "unauthenticated");
    }

    async fn c_15_a_list_of_sessions_says_what_its_owner_needs_and_nothing_more(server: TestServer) {
        let owner = server.signed_in().await;
        let sessions = owner.sessions().await;
        let shown: Vec<&String> = sessions[0].as_object().expect("an object").keys().collect();
        for field in ["id", "current", "created_at", "last_seen_at", "authenticated_at", "idle_expires_at", "expires_at", "ip", "device"] {
            assert!(shown.iter().any(|name| *name == field), "{field}: {shown:?}");
        }
        for field in &shown {
            assert!(!["token", "token_hash", "hash", "user_id", "epoch", "data", "csrf_token", "password_hash"].contains(&field.as_str()), "{field}");
        }
    }

    async fn h_04_h_05_what_is_kept_is_kept_for_no_longer_than_its_session(server: TestServer)
    with { "SESSIOND_REMEMBER_ABSOLUTE_TIMEOUT": "7d", "SESSIOND_REMEMBER_IDLE_TIMEOUT": "2d" } {
        let (visitor, email) = (server.anonymous(), new_email());
        visitor.register(&email).await.assert_status(201);
        let answer = visitor.post_json("/login", &json!({ "email": email, "password": PASSWORD, "remember": true })).await;
        let line = only_cookie(answer.assert_status(200));
        let age = line.split("Max-Age=").nth(1).and_then(|rest| rest.split(';').next()).and_then(|text| text.parse::<u64>().ok());
        assert_eq!(age, Some(7 * 24 * 60 * 60), "{line}");
        assert!(line.len() < 1_024, "{line}");
    }

    async fn h_13_every_problem_has_the_members_of_rfc_9457(server: TestServer) {
        let (visitor, owner) = (server.anonymous(), server.signed_in().await);
        for answer in [
            visitor.get("/me").await,
            visitor.get("/nothing").await,
            visitor.delete("/login").await,
            visitor.post_json("/login", &json!({})).await,
            visitor.login("nobody@example.org", PASSWORD).await,
            visitor.change(reqwest::Method::POST, "/login").body("application/json", "{").send().await,
            owner.delete("/sessions?include_current=x").await,
            owner.change(reqwest::Method::DELETE, "/sessions").header("X-CSRF-Token", "x").send().await,
        ] {
            let body = answer.json();
            let of = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            assert!(of("type").starts_with("urn:sessiond:problem:"), "{answer}");
            assert!(!of("title").is_empty() && !of("detail").is_empty() && of("instance").starts_with("urn:uuid:"), "{answer}");
            assert_eq!(body.get("status").and_then(Value::as_u64), Some(u64::from(answer.status)), "{answer}");
            let known = ["type", "title", "status", "detail", "instance", "errors"];
            assert!(body.as_object().expect("an object").keys().all(|name| known.contains(&name.as_str())), "{answer}");
        }
    }

    /// Not "cookies": that would sign the person out of every application under the domain.
    async fn h_16_signing_out_clears_what_this_host_left_in_the_browser(server: TestServer) {
        let owner = server.signed_in().await;
        let answer = owner.sign_out().await;
        assert_eq!(answer.assert_status(204).header("clear-site-data"), Some("\"cache\", \"storage\""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }

    async fn h_16_what_is_cleared_is_a_setting_and_nothing_is_while_the_session_lives(server: TestServer)
    with { "SESSIOND_CLEAR_SITE_DATA": "cache,storage,cookies" } {
        let (owner, all) = (server.signed_in().await, Some("\"cache\", \"storage\", \"cookies\""));
        assert_eq!(server.issue(&owner).await.sign_out().await.assert_status(204).header("clear-site-data"), all);
        server.stores.database.execute("ALTER TABLE sessions RENAME TO sessions_away");
        let unsaid = owner.sign_out().await;
        assert_eq!((unsaid.status, unsaid.header("clear-site-data")), (503, None), "{unsaid}");
        assert!(unsaid.set_cookies().is_empty(), "{unsaid}");
        server.stores.database.execute("ALTER TABLE sessions_away RENAME TO sessions");
        let copy = owner.copy_at(&server.url());
        assert!(copy.is_signed_in().await);
        assert_eq!(owner.sign_out().await.assert_status(204).header("clear-site-data"), all);
        assert!(!copy.is_signed_in().await);
        let nothing = TestServer::with(crate::support::server::Backend::Embedded, &[("SESSIOND_CLEAR_SITE_DATA", "none")]).await;
        assert_eq!(nothing.signed_in().await.sign_out().await.assert_status(204).header("clear-site-data"), None);
    }

    async fn v_10_two_people_one_after_the_other_in_one_browser_are_never_mixed(server: TestServer) {
        let (one, two) = (server.signed_in().await, server.signed_in().await);
        let browser = server.anonymous();
        for _ in 0..3 {
            for person in [&one, &two] {
                browser.login(&person.email, PASSWORD).await.assert_status(200);
                let me = browser.get("/me").await.assert_status(200).json();
                assert_eq!(me.pointer("/user/email"), Some(&json!(person.email)));
            }
            browser.post("/logout").await.assert_status(204);
            browser.get("/me").await.assert_problem(401, "unauthenticated");
        }
        assert!(one.is_signed_in().await && two.is_signed_in().await);
    }

    async fn v_26_what_cannot_be_read_in_a_cookie_is_never_read_in_another_way(server: TestServer) {
        let owner = server.signed_in().await;
        let token = owner.token();
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(&token);
        for value in [token.clone(), encoded.clone(), format!("{}{token}", "A".repeat(44)), format!("%3D{token}"), format!("{{\"token\":\"{token}\"}}"), format!("\"{token}\"")] {
            browser_with(&server, &value).get("/me").await.assert_problem(401, "unauthenticated");
        }
        assert!(owner.is_signed_in().await);
    }
}
