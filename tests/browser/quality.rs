//! What a page does behind a person's back: nothing moves by itself, nothing is refused by the policy, nothing is kept.

use std::time::Duration;

use serde_json::{Value, json};

use super::driver::Driver;
use super::page::site;
use super::window::Window;
use crate::support::client::{PASSWORD, new_email};
use crate::support::server::{Backend, TestServer};

/// Before any script of a page.
const WATCH: &str = "
    window.refused = [];
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => refused.push(`${violatedDirective} ${blockedURI}`));
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const { value, startTime, sources } of list.getEntries()) {
        shifts.push([value, startTime, sources.map(({ node }) => node?.id || node?.className || node?.nodeName)]);
      }
    }).observe({ type: 'layout-shift', buffered: true });";

const KEPT: &str = "
    return Promise.all([refused, shifts, document.cookie, localStorage.length, sessionStorage.length, window.name,
      indexedDB.databases(), caches.keys(), navigator.serviceWorker.getRegistrations()])";

/// Every shift counts, also one within half a second of a key, which the browser itself would forgive.
async fn calm(window: &Window, page: &str) {
    tokio::time::sleep(Duration::from_millis(150)).await;
    let found = window.script(KEPT).await;
    assert_eq!(found, json!([[], [], "", 0, 0, "", [], [], []]), "{page}: refused, moved, kept");
}

async fn walk(window: &Window, server: &TestServer, site: &str) {
    window.open(&format!("{site}/")).await;
    window.is_at_the_door().await;
    window.click("#sign-in-submit").await;
    window.says("#sign-in-email-error", "Enter your e-mail address.").await;
    calm(window, "sign in, nothing entered").await;
    let email = new_email();
    window.try_sign_in(site, &email, "not the password").await;
    window.says("#sign-in-result", "The e-mail address or the password is wrong.").await;
    calm(window, "sign in, refused").await;

    window.open(&format!("{site}/reset#x")).await;
    window.open(&format!("{site}/#register")).await;
    window.text("#register-title").await;
    assert_eq!(strength(window, "").await, json!([0, ""]));
    for (password, level, word) in [("aaaaaaaaaaaaaaaa", 1, "Short"), ("violet tram", 2, "Could be longer")] {
        assert_eq!(strength(window, password).await, json!([level, word]), "{password}");
    }
    window.fill("#register-email", &email).await;
    assert_eq!(strength(window, "password").await, json!([1, "Short"]));
    window.click("#register-submit").await;
    window.text("#register-password[aria-invalid]").await;
    calm(window, "register, refused").await;
    assert_eq!(strength(window, PASSWORD).await, json!([4, "Very good"]));
    window.click("#register-submit").await;
    window.has_account().await;
    window.rows(1).await;
    // The stream has been opened, and the page has looked for what it may have missed.
    tokio::time::sleep(Duration::from_millis(500)).await;
    calm(window, "account").await;
    window.change_password("not the password", "another pass phrase").await;
    window.says("#current-password-error", "That is not your current password.").await;
    calm(window, "account, password refused").await;

    let owner = server.anonymous().sign_in(&email, PASSWORD).await;
    window.rows(2).await;
    window.reload().await;
    window.rows(2).await;
    calm(window, "account, two sessions").await;
    window.click(".session:not(.current) .end").await;
    window.text("#confirm-title").await;
    window.click("#confirm-no").await;
    calm(window, "account, asked").await;
    owner.end_others().await.assert_status(200);
    window.text("#ended-title").await;
    calm(window, "account, ended").await;
    window.open(&format!("{site}/reset#{}", server.reset_token(&email))).await;
    window.fill("#reset-password", "short").await;
    window.click("#reset-submit").await;
    window.text("#reset-password[aria-invalid]").await;
    calm(window, "new password, refused").await;
}

/// What the meter shows for a new password: its level, and the word beside it.
async fn strength(window: &Window, password: &str) -> Value {
    window.fill("#register-password", password).await;
    let meter = "[document.querySelector('#register-password-strength').value, document.querySelector('#register-password-strength-word').textContent]";
    window.script(&format!("return {meter}")).await
}

#[tokio::test]
async fn nothing_moves_nothing_is_refused_and_nothing_is_kept() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site) = (Driver::start(), site(&server));
    for (width, height, mobile) in [(390, 844, true), (1280, 900, false)] {
        let window = driver.window().await;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        window.devtools("Emulation.setDeviceMetricsOverride", size).await;
        window.before_every_page(WATCH).await;
        walk(&window, &server, &site).await;
        window.assert_quiet_but_for(&["401 /login", "422 /register", "403 /me/password", "422 /reset"]).await;
    }
}
