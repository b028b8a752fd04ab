//! Device cookies: what ends them, and how many of them are worth how many guesses.

use super::*;

const NEW: &str = "a wholly different password";

/// Uses an account's free attempts up, and three more: whoever is not known on their device waits for eight seconds.
async fn use_up(server: &TestServer, email: &str) {
    for doubled in 0..4 {
        if doubled == 0 {
            for _ in 0..FREE {
                guess(server, "192.0.2.1", email).await.assert_problem(401, "wrong-credentials");
            }
        } else {
            server.clock.advance(Duration::from_secs(1 << (doubled - 1)));
            guess(server, "192.0.2.1", email).await.assert_problem(401, "wrong-credentials");
        }
    }
}

async fn counts_for_nothing(server: &TestServer, cookie: &str, email: &str, why: &str) {
    let answer = login_from(&with_device(server, cookie), "192.0.2.9", email, WRONG).await;
    assert_eq!(answer.status, 429, "{why}: {answer}");
}

behind_a_proxy! {
    async fn a_device_cookie_ends_with_whatever_ends_all_sessions(server: TestServer) {
        let command = |words: &[&str]| drop(command_line_ok(&server.settings, words, ""));
        for what in ["change", "reset", "disable", "role", "others", "again"] {
            let owner = server.signed_in().await;
            let (cookie, email) = (device_of(&owner), owner.email.clone());
            match what {
                "change" => drop(owner.change_password(PASSWORD, NEW).await.assert_status(200)),
                "reset" => {
                    let body = json!({ "token": server.reset_token(&email), "new_password": NEW });
                    server.anonymous().post_json("/reset", &body).await.assert_status(204);
                }
                "disable" => {
                    command(&["user", "disable", &email]);
                    command(&["user", "enable", &email]);
                }
                "role" => command(&["user", "grant", &email, "admin"]),
                "others" => drop(owner.end_others().await.assert_status(200)),
                _ => {
                    command(&["user", "delete", &email]);
                    server.anonymous().register(&email).await.assert_status(201);
                }
            }
            use_up(&server, &email).await;
            counts_for_nothing(&server, &cookie, &email, what).await;
            if what == "change" {
                // The answer has brought the owner another one, and that opens again.
                assert_ne!(device_of(&owner), cookie);
                login_from(&with_device(&server, &device_of(&owner)), "192.0.2.9", &email, NEW).await.assert_status(200);
            }
        }
    }

    async fn who_proves_themselves_anew_gets_a_device_cookie_that_counts(server: TestServer) {
        let owner = server.signed_in().await;
        let old = device_of(&owner);
        owner.end_others().await.assert_status(200);
        owner.reauthenticate(PASSWORD).await.assert_status(200);
        use_up(&server, &owner.email).await;
        counts_for_nothing(&server, &old, &owner.email, "the one from before").await;
        let known = with_device(&server, &device_of(&owner));
        login_from(&known, "192.0.2.9", &owner.email, PASSWORD).await.assert_status(200);
    }

    async fn any_number_of_device_cookies_is_worth_twenty_guesses(server: TestServer) {
        let owner = server.signed_in().await;
        let mut cookies = vec![device_of(&owner)];
        for _ in 0..13 {
            cookies.push(device_of(&owner.sign_in_again().await));
        }
        let mut compared = 0;
        for cookie in cookies.iter().chain(&cookies) {
            let answer = login_from(&with_device(&server, cookie), "192.0.2.9", &owner.email, WRONG).await;
            compared += usize::from(answer.status == 401);
        }
        assert!((10..=20).contains(&compared), "{compared} of 28");
        // The account's own count is another: who has no cookie is not locked out by those who have.
        guess(&server, "192.0.2.1", &owner.email).await.assert_problem(401, "wrong-credentials");
    }
}
