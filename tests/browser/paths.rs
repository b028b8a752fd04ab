//! The pages below a path of a host that they share with an application.

use super::driver::Driver;
use super::page::site;
use crate::support::client::{COOKIE, PASSWORD, new_email};
use crate::support::server::{Backend, TestServer};

#[tokio::test]
async fn the_pages_work_below_a_base_path() {
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_BASE_PATH", "/auth")]).await;
    let (driver, email, site) = (Driver::start(), new_email(), format!("{}/auth", site(&server)));
    let window = driver.window().await;
    window.register(&site, &email, PASSWORD).await;
    window.arrives_at("/auth/account").await;
    let cookie = window.cookie(COOKIE).await.expect("the session cookie");
    assert_eq!(cookie.path(), Some("/"), "the application's requests carry it, too");
    window.rename("Ana Example").await;
    window.says("#who", "Ana Example").await;
    let elsewhere = window
        .script(
            "return performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)
               .filter((path) => !path.startsWith('/auth/'))",
        )
        .await;
    assert_eq!(elsewhere, serde_json::json!([]), "everything is below the base path");

    let slash = "return import('/auth/static/sessiond.js').then(({ call }) => call('GET', '/me')).then(({ user }) => user.email)";
    assert_eq!(window.script(slash).await, email.as_str(), "all paths are the service's own");

    window.click("#sign-out").await;
    window.arrives_at("/auth/").await;
    window.open(&format!("{site}/account")).await;
    window.arrives_at("/auth/").await;
    window.open(&format!("{site}/reset#{}", server.reset_token(&email))).await;
    window.fill("#reset-password", "another pass phrase").await;
    window.click("#reset-submit").await;
    window.click("#to-sign-in").await;
    window.arrives_at("/auth/").await;
    window.sign_in(&site, &email, "another pass phrase").await;
    window.assert_quiet().await;
}
