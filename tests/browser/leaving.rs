//! What sign-out leaves in a browser, and how long the browser takes to delete it.

use serde_json::json;

use super::application::Application;
use super::driver::Driver;
use super::page::site;
use super::window::Window;
use crate::support::client::{COOKIE, PASSWORD, new_email};
use crate::support::server::{Backend, TestServer};

/// The setting, and the cookies that stay.
const KINDS: [(&str, usize); 4] = [("none", 2), ("storage", 2), ("cache,storage", 2), ("cache,storage,cookies", 0)];

/// Signs in and out by requests alone; gives the milliseconds that `/logout` took.
async fn sign_out_time(window: &Window, credentials: &serde_json::Value) -> f64 {
    let script = format!(
        "const ask = (path, body) => fetch(path, {{ method: 'POST', headers: {{ 'Content-Type': 'application/json', 'X-Requested-With': 'x' }}, body }});
         return ask('/login', JSON.stringify({credentials})).then(async () => {{
           const begun = performance.now();
           const answer = await ask('/logout');
           if (answer.status !== 204) throw new Error(String(answer.status));
           return performance.now() - begun;
         }})"
    );
    window.script(&script).await.as_f64().expect("milliseconds")
}

/// How many copies one script makes.
const COPIES_A_SCRIPT: usize = 250;

/// How many copies the browser has in its cache beforehand.
async fn fill_cache(window: &Window, application: &Application, copies: usize) {
    window.open(&format!("http://localhost:{}/", application.port())).await;
    // A script that takes longer than the driver waits is ended, however far it came.
    for from in (0..copies).step_by(COPIES_A_SCRIPT) {
        let some = COPIES_A_SCRIPT.min(copies - from);
        let script = format!(
            "const all = [...Array({some}).keys()].map((copy) => copy + {from});
             const next = async () => {{ while (all.length > 0) await (await fetch(`/kept/${{all.pop()}}`)).text(); }};
             return Promise.all([next(), next(), next(), next(), next(), next()]).then(() => true)"
        );
        assert_eq!(window.script(&script).await, true);
    }
}

/// Prints what each kind costs: nobody promises how long a browser takes.
#[tokio::test]
async fn sign_out_deletes_what_it_is_set_to_and_its_cost_is_known() {
    let soak = std::env::var_os("SESSIOND_TEST_SOAK").is_some();
    let (rounds, copies, kinds) = if soak { (30, 5_000, 0..4) } else { (1, 50, 2..4) };
    let driver = Driver::start();
    for &(kinds, cookies_left) in &KINDS[kinds] {
        let server = TestServer::with(
            Backend::Embedded,
            &[("SESSIOND_CLEAR_SITE_DATA", kinds), ("SESSIOND_ORIGIN", "http://localhost:1")],
        )
        .await;
        let (email, site, application) = (new_email(), site(&server), Application::start().await);
        server.anonymous().register(&email).await.assert_status(201);
        let credentials = json!({ "email": email, "password": PASSWORD });
        let window = driver.window().await;
        fill_cache(&window, &application, copies).await;
        window.open(&format!("{site}/reset")).await;
        let mut times = Vec::new();
        for _ in 0..rounds {
            // An application of this origin has kept something, and a cookie of its own.
            window.script("localStorage.setItem('kept', 'x'); document.cookie = 'other=x'; return null").await;
            times.push(sign_out_time(&window, &credentials).await);
            assert!(window.cookie(COOKIE).await.is_none());
            assert_eq!(window.cookies().await.len(), cookies_left, "{kinds}: {:?}", window.cookies().await);
            let kept = if kinds.contains("storage") { json!(null) } else { json!("x") };
            assert_eq!(window.script("return localStorage.getItem('kept')").await, kept, "{kinds}");
        }
        times.sort_by(f64::total_cmp);
        let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
        println!(
            "sign-out with {kinds}, {copies} copies in the cache: median {median:.0} ms, at most {most:.0} ms of {rounds}"
        );
    }
}

/// Says in the page what its sign-out button is, for as long as it is there.
const BUTTON: &str = "document.querySelector('#sign-out').getAttribute('aria-disabled')";

#[tokio::test]
async fn a_sign_out_that_is_refused_is_told_and_repeated_until_the_session_is_over() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, email, site) = (Driver::start(), new_email(), site(&server));
    let window = driver.window().await;
    window.register(&site, &email, PASSWORD).await;
    window.rows(1).await;
    let cookie = window.cookie(COOKIE).await.expect("a cookie").value().to_owned();
    server.stores.database.execute("ALTER TABLE sessions RENAME TO sessions_away");
    window.click("#sign-out").await;
    window.shows("document.querySelector('#notice').textContent.startsWith('The service is busy.')").await;
    window.shows(&format!("{BUTTON} === 'true'")).await;
    assert_eq!(window.cookie(COOKIE).await.expect("still there").value(), cookie);
    server.stores.database.execute("ALTER TABLE sessions_away RENAME TO sessions");
    window.is_at_the_door().await;
    assert!(window.cookie(COOKIE).await.is_none());
    assert_eq!(server.stores.database.count("sessions", "ended_at IS NULL"), 0);
}

/// What is in the ledger is done: the page goes, and asks no second time.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_sign_out_that_is_not_confirmed_yet_is_one_for_the_page() {
    let server = TestServer::start(Backend::Production).await;
    let (driver, email, site) = (Driver::start(), new_email(), site(&server));
    let window = driver.window().await;
    window.register(&site, &email, PASSWORD).await;
    window.rows(1).await;
    // A cookie is what a sign-out leaves of all that a page could note.
    let count = "const trusted = window.fetch;
        window.fetch = (...request) => {
          if (String(request[0]).endsWith('/logout')) document.cookie = `asked-${performance.now()}=x`;
          return trusted(...request);
        };";
    window.script(count).await;
    server.stores.servers().kill();
    window.click("#sign-out").await;
    window.is_at_the_door().await;
    assert!(window.cookie(COOKIE).await.is_none());
    assert_eq!(server.stores.database.count("sessions", "ended_at IS NULL"), 0);
    let cookies = window.cookies().await;
    assert_eq!(
        cookies.iter().filter(|cookie| cookie.name().starts_with("asked-")).count(),
        1,
        "it was done: {cookies:?}"
    );
    server.stores.servers().restart();
}

/// Notes errors of a page's scripts until it is gone, in a cookie of their own each: it outlives the page.
const NOTE_ERRORS: &str = "addEventListener('error', ({ message }) => {
    document.cookie = `error-${performance.now()}=${encodeURIComponent(message)}; path=/`;
});";

/// What the pages of this window have noted.
async fn errors(window: &Window) -> Vec<String> {
    let cookies = window.cookies().await.into_iter().filter(|cookie| cookie.name().starts_with("error-"));
    cookies.map(|cookie| cookie.value().to_owned()).collect()
}

#[tokio::test]
async fn a_page_that_is_left_has_no_errors_on_its_way_out() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, admin) = (Driver::start(), site(&server), server.admin().await);
    let window = driver.window().await;
    window.before_every_page(NOTE_ERRORS).await;

    window.open(&format!("{site}/console")).await;
    window.is_at_the_door().await;
    assert_eq!(errors(&window).await, Vec::<String>::new(), "/console as nobody");

    for page in ["account", "console"] {
        window.sign_in(&site, &admin.person().email, PASSWORD).await;
        window.open(&format!("{site}/{page}")).await;
        window.click("#sign-out").await;
        window.is_at_the_door().await;
        assert_eq!(errors(&window).await, Vec::<String>::new(), "/{page}, signed out");
    }
}
