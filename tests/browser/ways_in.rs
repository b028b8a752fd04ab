//! Following a link from another site, to pages of sessiond and to pages behind a gateway: `SameSite=Strict` keeps the cookie
//! back, and nobody is called signed out for that.

use std::time::Duration;

use super::application::Application;
use super::driver::Driver;
use super::page::site;
use super::window::Window;
use crate::support::client::{PASSWORD, new_email};
use crate::support::gateway::{Gateway, Kind};
use crate::support::server::{Backend, TestServer};

const DEEP: &str = "/deep/page?x=1&y=a%2Fb%20c&z=%C3%A9";
const PART: &str = "#part/two";
/// The same machine, and to a browser another site than `localhost`.
const ANOTHER_SITE: &str = "127.0.0.1";

async fn follows(window: &Window, elsewhere: &Application, to: &str) {
    window.open(&elsewhere.page_with_link(ANOTHER_SITE, to)).await;
    window.shows(&format!("document.querySelector('#link')?.href === {}", serde_json::json!(to))).await;
    window.click("#link").await;
}

async fn lands_on(window: &Window, address: &str) {
    window.shows(&format!("location.href === {}", serde_json::json!(address))).await;
}

/// Waits until nothing more is asked for, and gives how often it was.
async fn settled(gateway: &Gateway, part: &str) -> usize {
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let now = gateway.asked(part);
        if now == before {
            return now;
        }
        assert!(now < 20, "there is no end to it");
        before = now;
    }
}

async fn walks_in(kind: Kind) {
    let application = Application::start().await;
    let gateway = Gateway::start(kind, application.port());
    let (driver, email, site) = (Driver::start(), new_email(), gateway.site());
    let (here, there) = (driver.window().await, driver.window().await);
    let (login, deep) = (format!("{site}/sessiond"), format!("{site}{DEEP}{PART}"));
    let elsewhere = Application::start().await;

    // Signed in: the link leads exactly there, as if the cookie had been sent.
    here.register(&login, &email, PASSWORD).await;
    follows(&here, &elsewhere, &deep).await;
    lands_on(&here, &deep).await;
    here.says("#asked", DEEP).await;
    assert!(uuid::Uuid::parse_str(&here.text("#user").await).is_ok(), "the application knows who it is");
    assert_eq!(application.asked("/deep"), [DEEP], "asked for once, by who is signed in");
    assert_eq!(gateway.asked("/deep/page"), 2, "{kind:?}: once without the cookie, once with it");
    here.back().await;
    here.shows("location.pathname === '/link'").await;
    // By the address bar the cookie comes along at once.
    here.open(&deep).await;
    lands_on(&here, &deep).await;
    assert_eq!(gateway.asked("/deep/page"), 3);

    // Signed out: the form, and then the page.
    follows(&there, &elsewhere, &deep).await;
    there.is_at_the_door().await;
    there.says("#sign-in-result", "Sign in to continue.").await;
    let by_script =
        there.script("return fetch('/deep/script').then((answer) => [answer.status, answer.redirected])").await;
    assert_eq!(by_script, serde_json::json!([401, false]), "a script gets an answer, not a page");
    let form = there.script("return fetch('/deep/form', { method: 'POST', headers: { Accept: 'text/html' } }).then((answer) => answer.status)").await;
    assert_eq!(form, 401);
    there.enter(&email, PASSWORD).await;
    lands_on(&there, &deep).await;
    there.says("#asked", DEEP).await;

    // A page that never lets anybody in: told so, after two requests and not more.
    follows(&here, &elsewhere, &format!("{site}/never/again")).await;
    assert_eq!(here.text("#already-who").await, email);
    let asked = settled(&gateway, "/never").await;
    println!("{kind:?}: a page that always refuses was asked {asked} times");
    assert!((1..=2).contains(&asked), "{asked}");
    if kind == Kind::Nginx {
        // The same for whichever gateway it is.
        it_is_for_people_to_say(&gateway, &here, &email, asked).await;
    }
    here.assert_quiet().await;
}

/// On a page that says whose session there is, because the one that was asked for refuses it.
async fn it_is_for_people_to_say(gateway: &Gateway, here: &Window, email: &str, asked: usize) {
    here.click("#already-go-on").await;
    assert_eq!(settled(gateway, "/never").await, asked + 1, "only when somebody says so");
    assert_eq!(here.text("#already-who").await, email);
    here.click("#already-sign-out").await;
    here.is_at_the_door().await;
    assert!(!here.everything().await.contains(email));
    assert_eq!(settled(gateway, "/never").await, asked + 1);

    // Who makes an account there goes on as well.
    here.click("#to-register").await;
    here.fill("#register-email", &new_email()).await;
    here.fill("#register-password", PASSWORD).await;
    here.click("#register-submit").await;
    here.text("#already-who").await;
    assert_eq!(settled(gateway, "/never").await, asked + 2);
}

#[tokio::test]
async fn a_deep_link_from_another_site_lands_on_its_page_behind_nginx() {
    walks_in(Kind::Nginx).await;
}

#[tokio::test]
async fn a_deep_link_from_another_site_lands_on_its_page_behind_caddy() {
    walks_in(Kind::Caddy).await;
}

#[tokio::test]
async fn who_follows_a_link_from_another_site_is_signed_in() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, email, site) = (Driver::start(), new_email(), site(&server));
    let (window, elsewhere) = (driver.window().await, Application::start().await);
    window.register(&site, &email, PASSWORD).await;
    for (to, path) in [
        ("/account", "/account"),
        ("/", "/account"),
        ("/bounce", "/account"),
        ("/bounce?next=%2Faccount", "/account"),
        ("/?next=%2Faccount", "/account"),
        ("/continue?next=%2Faccount", "/account"),
    ] {
        follows(&window, &elsewhere, &format!("{site}{to}")).await;
        window.arrives_at(path).await;
        assert_eq!(window.text("#who").await, email, "{to}");
    }
    // What may not be followed leads to the account, as if it were not there.
    for to in
        ["/continue?next=https%3A%2F%2Fevil.example", "/bounce?next=%2F%2Fevil.example", "/?next=%2F%2Fevil.example"]
    {
        follows(&window, &elsewhere, &format!("{site}{to}")).await;
        window.arrives_at("/account").await;
    }
    window.assert_quiet().await;
}
