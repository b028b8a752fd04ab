//! What the browser keeps: the session's cookie and the device's, which no script can read, and nothing else.

use std::sync::Arc;

use fantoccini::cookies::Cookie;
use serde_json::json;
use sessiond::domain::MovableClock;

use super::application::Application;
use super::driver::Driver;
use super::window::Window;
use crate::support::client::{COOKIE, PASSWORD, new_email};
use crate::support::node::Node;
use crate::support::ports::free_port;
use crate::support::server::{Backend, Stores, TestServer};

/// The cookie's name where hosts share it.
const SHARED: &str = "__Secure-session";

/// Opens nothing; stays when the session is over.
const DEVICE: &str = "__Host-device";

/// Panics unless the browser has the session cookie as it must be, and nothing else.
async fn assert_kept(window: &Window, host: &str) -> Cookie<'static> {
    let cookies = window.cookies().await;
    let mut names: Vec<_> = cookies.iter().map(Cookie::name).collect();
    names.sort_unstable();
    assert_eq!(names.iter().filter(|name| ![COOKIE, DEVICE].contains(name)).count(), 0, "{names:?}");
    assert_eq!(names.len(), 2, "{names:?}");
    for cookie in &cookies {
        assert_eq!((cookie.http_only(), cookie.secure()), (Some(true), Some(true)));
        assert_eq!((cookie.path(), cookie.domain()), (Some("/"), Some(host)), "one host, every path");
        assert_eq!(cookie.same_site().map(|same_site| same_site.to_string()).as_deref(), Some("Strict"));
    }
    let cookie = window.cookie(COOKIE).await.expect("the session cookie");

    let kept = window
        .script(
            "return Promise.all([document.cookie, localStorage.length, sessionStorage.length, window.name,
               indexedDB.databases(), caches.keys(), navigator.serviceWorker.getRegistrations()])",
        )
        .await;
    assert_eq!(kept, json!(["", 0, 0, "", [], [], []]));
    let token = cookie.value().get(cookie.value().len() - 36..).expect("a token");
    assert!(!window.everything().await.contains(token), "the token is in the page");
    assert!(!window.address().await.as_str().contains(token), "the token is in the address");
    cookie
}

#[tokio::test]
async fn the_browser_keeps_two_cookies_that_no_script_can_read_and_nothing_else() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, email) = (Driver::start(), new_email());
    let window = driver.window().await;
    let port = server.node().address().port();
    window.register(&format!("http://localhost:{port}"), &email, PASSWORD).await;
    let cookie = assert_kept(&window, "localhost").await;
    assert_eq!(cookie.expires_datetime(), None, "gone with the browser");

    // The other name of this machine is another host: nobody is signed in there.
    let site = format!("http://127.0.0.1:{port}");
    window.open(&format!("{site}/")).await;
    window.click("#sign-in-remember").await;
    window.fill("#sign-in-email", &email).await;
    window.fill("#sign-in-password", PASSWORD).await;
    window.click("#sign-in-submit").await;
    window.has_account().await;
    let remembered = assert_kept(&window, "127.0.0.1").await;
    assert!(remembered.expires_datetime().is_some(), "outlives the browser");
    assert_ne!(remembered.value(), cookie.value());
    window.text(".current .remembered").await;
    window.assert_quiet().await;
}

/// The account, or the form.
const EITHER: &str = "['#who', '#sign-in-email'].some(
    (css) => document.querySelector(css)?.checkVisibility({ visibilityProperty: true }) ?? false)";

/// Whether the browser is signed in, asked from a page that goes nowhere by itself: the sign-in page shows its form until it
/// knows, and then goes on.
async fn is_in(window: &Window, site: &str) -> bool {
    window.open(&format!("{site}/reset")).await;
    let status = window.script("return fetch('/me').then((answer) => answer.status)").await;
    assert!([json!(200), json!(401)].contains(&status), "{status}");
    status == 200
}

/// How many session cookies the browser sends to the page that is open.
async fn sent(window: &Window) -> usize {
    window.cookies().await.iter().filter(|cookie| cookie.name() == SHARED).count()
}

/// A browser with the cookie of the domain that was configured before signs in, and so does one to which a sibling host
/// has given a second one.
#[tokio::test]
async fn neither_another_cookie_domain_nor_a_sibling_host_keeps_anybody_out() {
    let (stores, clock, port) = (Stores::new(Backend::Embedded), Arc::new(MovableClock::default()), free_port());
    let site = format!("http://login.app.example.localhost:{port}");
    let listen = format!("127.0.0.1:{port}");
    let settings = |domain: &str| {
        let changes =
            [("SESSIOND_LISTEN", listen.as_str()), ("SESSIOND_ORIGIN", &site), ("SESSIOND_COOKIE_DOMAIN", domain)];
        stores.settings().with_all(&changes)
    };
    let (driver, email, elsewhere) = (Driver::start(), new_email(), Application::start().await);
    let window = driver.window().await;
    let node = Node::start(&settings("app.example.localhost"), &clock).await;
    window.register(&site, &email, PASSWORD).await;
    assert_eq!(sent(&window).await, 1);
    drop(node);

    let _node = Node::start(&settings("example.localhost"), &clock).await;
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let login = format!(
        "return fetch('/login', {{ method: 'POST', headers: {{ 'Content-Type': 'application/json' }}, body: {} }})
           .then((answer) => answer.status)",
        json!(body)
    );
    assert_eq!(window.script(&login).await, json!(200));
    assert_eq!(sent(&window).await, 1, "that of the other domain is gone");
    window.open(&format!("{site}/account")).await;
    window.has_account().await;

    for path in ["/", "/me", "/login", "/account"] {
        window.open(&format!("http://evil.example.localhost:{}/", elsewhere.port())).await;
        for domain in ["example.localhost", "localhost"] {
            window
                .script(&format!("document.cookie = '{SHARED}=evil; Domain={domain}; Path={path}; Secure'; return 1"))
                .await;
        }
        window.open(&format!("{site}/account")).await;
        window.shows(EITHER).await;
        // A browser does not let a script take the place of the cookie itself: then they are in as before.
        if !is_in(&window, &site).await {
            window.open(&format!("{site}/")).await;
            window.fill("#sign-in-email", &email).await;
            window.fill("#sign-in-password", PASSWORD).await;
            window.click("#sign-in-submit").await;
            window.has_account().await;
        }
        window.open(&format!("{site}/account")).await;
        window.has_account().await;
    }
}
