//! The secrets of services: what each opens, and what none does.

use reqwest::Method;
use serde_json::json;

use crate::api::services::{ALL, World, on_both};
use crate::support::process::{Process, command_line, command_line_ok};
use crate::support::requests::{Call, Requests};
use crate::support::server::{Backend, TestServer};
use crate::support::service::{FORM, Service, token, user};

on_both! {
    a_secret_opens_only_what_it_may_and_never_to_a_browser => secrets,
    a_secret_ends_on_every_node_before_the_command_returns => removals,
}

fn asked<'a>(service: &'a Service, (kind, body): &(&str, String)) -> Call<'a> {
    service.ask(Method::POST, "/introspect").body(kind, body.clone())
}

/// The part of a secret that names it, and the secret part.
fn halves(secret: &str) -> (&str, &str) {
    secret.split_at(19)
}

async fn secrets(backend: Backend) {
    let world = World::on(backend);
    let settings = world.stores.settings();
    let session = world.shop.session_of("user-1").await;
    let form = (FORM, token(&session.cookie));
    let with = |secret: &str| Service::with(&world.url(), secret);
    // None, in the wrong place, twice, damaged, of another form, of nobody.
    let bare = || world.shop.call(Method::POST, "/introspect").body(form.0, form.1.clone());
    let bearer = format!("Bearer {}", world.shop.secret);
    let refusal = bare().send().await;
    refusal.assert_problem(401, "unknown-service");
    assert_eq!(refusal.header("www-authenticate"), Some("Bearer realm=\"sessiond\""));
    for call in [
        bare().header("Authorization", &world.shop.secret),
        bare().header("Authorization", &format!("Basic {}", world.shop.secret)),
        bare().header("Authorization", &bearer).header("Authorization", &bearer),
        bare().header("X-Api-Key", &world.shop.secret),
        bare().header("Cookie", &format!("__Host-session={}", session.cookie)),
    ] {
        call.send().await.assert_problem(401, "unknown-service");
    }
    let other = sessiond::domain::ServiceSecret::generate(&sessiond::domain::SystemRandom);
    let mut damaged = world.shop.secret.clone();
    damaged.replace_range(30..31, if damaged.get(30..31) == Some("0") { "1" } else { "0" });
    for secret in ["", "sd_svc_", other.expose(), &damaged, world.shop.secret.split_at(58).0] {
        asked(&with(secret), &form).send().await.assert_problem(401, "unknown-service");
    }
    // The name of one with the random part of another.
    let two = Service::add(&settings, &world.url(), "two", "introspect");
    let mixed = format!("{}{}", halves(&two.secret).0, halves(&world.shop.secret).1);
    asked(&with(&mixed), &form).send().await.assert_problem(401, "unknown-service");
    // In the query: refused, and no secret.
    let query = world.shop.call(Method::POST, &format!("/introspect?access_token={}", world.shop.secret));
    query.body(form.0, form.1.clone()).send().await.assert_problem(401, "unknown-service");
    asked(&two, &form).send().await.assert_status(200);
    let wrong_scope = two.issue(&user("user-1")).await;
    wrong_scope.assert_problem(403, "insufficient-scope");
    assert!(wrong_scope.header("www-authenticate").is_some_and(|it| it.contains("scope=\"issue\"")), "{wrong_scope}");
    two.ask(Method::GET, "/subjects/user-1/sessions").send().await.assert_problem(403, "insufficient-scope");
    // A browser gives itself away, whatever it shows.
    for (name, value) in [("Origin", "http://localhost:8080"), ("Origin", "null"), ("Sec-Fetch-Site", "same-origin")] {
        asked(&world.shop, &form).header(name, value).send().await.assert_problem(403, "from-browser");
    }
    let preflight = world.shop.call(Method::OPTIONS, "/issue").header("Origin", "http://localhost:8080");
    let preflight = preflight.header("Access-Control-Request-Method", "POST").send().await;
    assert!(preflight.header("access-control-allow-origin").is_none(), "{preflight}");
    // A session is no secret, and a secret is no session.
    session.at(&world.url()).post_json("/issue", &user("user-1")).await.assert_problem(401, "unknown-service");
    world.shop.ask(Method::GET, "/me").send().await.assert_problem(401, "unauthenticated");
    // The wrong media type, a field twice.
    let json = world.shop.ask(Method::POST, "/introspect").json(&json!({ "token": "x" })).send().await;
    json.assert_problem(415, "unsupported-media-type");
    for body in ["", "token=a&token=b", "token=a&claims=perhaps", "token=%ff"] {
        let answer = world.shop.ask(Method::POST, "/introspect").body(form.0, body).send().await;
        assert!(answer.status == 400 || (body.ends_with("ff") && answer.status == 200), "{body}: {answer}");
    }
}

async fn removals(backend: Backend) {
    let world = World::on(backend);
    let settings = world.stores.settings();
    let session = world.shop.session_of("user-1").await;
    let form = (FORM, token(&session.cookie));
    let two = Service::add(&settings, &world.url(), "two", "introspect");
    // Rotated with and without an overlap, and removed.
    let node = Process::start(&settings);
    let everywhere = async |secret: &str| {
        let mut statuses = Vec::new();
        for base in [world.url(), node.url()] {
            statuses.push(asked(&Service::with(&base, secret), &form).send().await.status);
        }
        statuses
    };
    assert_eq!(everywhere(&two.secret).await, [200, 200]);
    let second = command_line_ok(&settings, &["service", "rotate", "two", "--overlap", "1h"], "").trim().to_owned();
    assert_eq!((everywhere(&two.secret).await, everywhere(&second).await), (vec![200, 200], vec![200, 200]));
    let third = command_line_ok(&settings, &["service", "rotate", "two", "--overlap", "0s"], "").trim().to_owned();
    for old in [&two.secret, &second] {
        assert_eq!(everywhere(old).await, [401, 401], "when the command returns, no node accepts it");
    }
    assert_eq!(everywhere(&third).await, [200, 200]);
    let listed = command_line_ok(&settings, &["service", "list"], "");
    assert!(listed.contains("two") && listed.contains("introspect") && !listed.contains(&third), "{listed}");
    command_line_ok(&settings, &["service", "remove", "two"], "");
    assert_eq!(everywhere(&third).await, [401, 401], "when the command returns, no node accepts it");
    assert_eq!(everywhere(&world.shop.secret).await, [200, 200], "another one's stays");
    // Nowhere at rest, nowhere in the log.
    for secret in [&world.shop.secret, &two.secret, &second, &third] {
        let random = halves(secret).1;
        assert!(!world.server.output().contains(random) && !node.output().contains(random), "the log has a secret");
    }
    assert_eq!(world.stores.database.count("service_credentials", "length(secret_hash) = 32"), 1);
}

/// A secret that was removed while its request was still coming opens nothing.
#[tokio::test]
async fn a_slow_request_does_not_outlive_its_secret() {
    let world = World::on(Backend::Embedded);
    let settings = world.stores.settings();
    let session = world.shop.session_of("user-1").await;
    let two = Service::add(&settings, &world.url(), "two", "introspect");
    let form = token(&session.cookie);
    let (early, late) = form.split_at(form.len() - 4);
    let (early, late) = (early.to_owned(), late.to_owned());
    let (send, wait) = tokio::sync::oneshot::channel::<()>();
    let parts = futures_util::stream::once(async move { Ok::<_, std::io::Error>(early) });
    let parts = futures_util::StreamExt::chain(
        parts,
        futures_util::stream::once(async move {
            drop(wait.await);
            Ok(late)
        }),
    );
    let call = two.ask(Method::POST, "/introspect").body(FORM, reqwest::Body::wrap_stream(parts));
    let removing = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let settings = settings.clone();
        let removed =
            tokio::task::spawn_blocking(move || command_line_ok(&settings, &["service", "remove", "two"], ""));
        removed.await.expect("it is removed");
        send.send(()).expect("the request waits");
    };
    let (answer, ()) = tokio::join!(call.send(), removing);
    answer.assert_problem(401, "unknown-service");
}

/// A node may go by what it has read for three seconds: nothing is issued meanwhile.
#[tokio::test]
async fn a_secret_that_was_removed_a_moment_ago_issues_nothing() {
    let server = TestServer::start(Backend::Embedded).await;
    // From now on the node's stopwatch stands still, so what it reads stays young.
    server.clock.advance(std::time::Duration::from_secs(10));
    let shop = Service::add(&server.settings, &server.url(), "shop", ALL);
    let session = shop.session_of("user-1").await;
    server.stores.database.execute("DELETE FROM service_credentials");
    assert_eq!(shop.introspect(&session.cookie, "").await.status, 200, "the node still knows it");
    shop.issue(&user("user-2")).await.assert_problem(401, "unknown-service");
    assert_eq!(server.stores.database.count("users", "subject = 'user-2'"), 0);
}

/// A refused rotation ends nothing, and one without an overlap is never refused.
#[tokio::test]
async fn a_refused_rotation_changes_nothing() {
    let world = World::on(Backend::Embedded);
    let settings = world.stores.settings();
    let rotate = |overlap: &str| command_line(&settings, &["service", "rotate", "shop", "--overlap", overlap], "");
    let mut last = world.shop.secret.clone();
    for _ in 0..7 {
        last = String::from_utf8_lossy(&rotate("1h").stdout).trim().to_owned();
    }
    let before = command_line_ok(&settings, &["service", "list", "--json"], "");
    let refused = rotate("1h");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("too many secrets"), "{refused:?}");
    assert_eq!(command_line_ok(&settings, &["service", "list", "--json"], ""), before);
    assert_eq!(Service::with(&world.url(), &last).issue(&user("user-1")).await.status, 201);
    let fresh = rotate("0s");
    let fresh = Service::with(&world.url(), String::from_utf8_lossy(&fresh.stdout).trim());
    assert_eq!(fresh.issue(&user("user-1")).await.status, 201);
    Service::with(&world.url(), &last).issue(&user("user-1")).await.assert_problem(401, "unknown-service");
}

#[tokio::test]
async fn a_wrong_command_is_told_what_is_wrong() {
    let world = World::on(Backend::Embedded);
    let settings = world.stores.settings();
    for (arguments, says) in [
        (vec!["service", "remove", "two"], "no service of this name"),
        (vec!["service", "add", "shop", "--scope", "issue"], "already a service"),
        (vec!["service", "add", "My Shop", "--scope", "issue"], "lower-case"),
        (
            vec!["service", "add", "three", "--scope", "everything"],
            "issue, introspect, revoke, admin.read and admin.write",
        ),
        (vec!["service", "add", "three"], "--scope"),
        (vec!["service", "rotate", "shop", "--overlap", "soon"], "15m"),
    ] {
        let output = command_line(&settings, &arguments, "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{arguments:?}: {said}");
    }
}
