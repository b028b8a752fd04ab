//! The module in pages that are not sessiond's own: on a configured origin it works as at home, on any other the browser
//! refuses everything and nothing happens.

use serde_json::{Value, json};

use super::application::Application;
use super::driver::Driver;
use super::window::Window;
use crate::support::client::{COOKIE, PASSWORD, new_email};
use crate::support::server::{Backend, TestServer};

/// What a page imports from sessiond.
const MODULE: &str = "/static/sessiond.js";

/// Runs this with `sessiond`, the module, and gives what it gives; of an error its status.
async fn with_module(window: &Window, at: &str, body: &str) -> Value {
    let module = json!(format!("{at}{MODULE}"));
    let script = format!(
        "return import({module}).then(async (sessiond) => {{ {body} }}).catch((error) => error.status ?? 'refused')"
    );
    window.script(&script).await
}

#[tokio::test]
async fn a_page_of_a_configured_origin_uses_the_module_and_no_other_page_does() {
    let (friend, stranger) = (Application::start().await, Application::start().await);
    let origin = format!("http://localhost:{}", friend.port());
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_ORIGIN", &origin)]).await;
    let at = format!("http://localhost:{}", server.node().address().port());
    let (driver, email) = (Driver::start(), new_email());
    server.anonymous().register(&email).await.assert_status(201);
    let window = driver.window().await;
    window.open(&format!("{origin}/app")).await;

    let credentials = json!({ "email": email, "password": PASSWORD });
    let login = format!("return (await sessiond.login({credentials})).user.email");
    let me = "return (await sessiond.me()).user.email";
    assert_eq!(with_module(&window, &at, me).await, 401, "the refusal can be read");
    let wrong = json!({ "email": email, "password": "not the password" });
    assert_eq!(with_module(&window, &at, &format!("await sessiond.login({wrong})")).await, 401);
    assert_eq!(with_module(&window, &at, &login).await, json!(email));
    assert_eq!(with_module(&window, &at, me).await, json!(email));
    assert_eq!(window.script("return document.cookie").await, "", "nor can this page read the cookie");
    assert!(window.cookie(COOKIE).await.is_some());
    let renamed = "return (await sessiond.rename('Ana Example')).user.name";
    assert_eq!(with_module(&window, &at, renamed).await, "Ana Example", "PATCH wants a preflight");
    assert_eq!(with_module(&window, &at, "return (await sessiond.sessions()).sessions.length").await, 1);
    let gone = "await sessiond.revoke('01937c5e-7b1a-7c3d-8e4f-001122334455')";
    assert_eq!(with_module(&window, &at, gone).await, 404, "DELETE, too");
    // The console is sessiond's own page: an application's page is not let into it.
    let admin = format!(
        "return fetch('{at}/admin/users', {{ credentials: 'include' }}).then((answer) => answer.status, () => 'refused')"
    );
    assert_eq!(window.script(&admin).await, "refused");
    assert_eq!(with_module(&window, &at, "await sessiond.logout(); return 'out'").await, "out");
    assert_eq!(with_module(&window, &at, me).await, 401);
    assert_eq!(with_module(&window, &at, &login).await, json!(email));

    // The same host, so the cookie is there; but no configured origin.
    let live =
        || server.stores.database.values("SELECT id || coalesce(end_reason, '') AS value FROM sessions ORDER BY id");
    let before = (live(), server.stores.database.values("SELECT coalesce(name, '') AS value FROM users"));
    for host in ["localhost", "127.0.0.1"] {
        window.open(&format!("http://{host}:{}/evil", stranger.port())).await;
        assert_eq!(with_module(&window, &at, me).await, "refused", "{host}: the module cannot even be read");
        let tries = window.script(&STRANGE.replace("AT", &at).replace("CREDENTIALS", &credentials.to_string())).await;
        let tries = tries.as_array().expect("a list");
        assert_eq!(tries.len(), 10);
        assert!(tries.iter().all(|outcome| *outcome == "refused" || *outcome == "opaque"), "{host}: {tries:?}");
        let after = (live(), server.stores.database.values("SELECT coalesce(name, '') AS value FROM users"));
        assert_eq!(after, before, "{host}: nothing has happened");
    }
    window.open(&format!("{origin}/app")).await;
    assert_eq!(with_module(&window, &at, me).await, json!(email), "still signed in");
}

const STRANGE: &str = "
    const json = { 'Content-Type': 'application/json' }, asked = { 'X-Requested-With': 'x' };
    const tries = [
      ['/me', {}],
      ['/sessions', {}],
      ['/static/form.js', {}],
      ['/login', { method: 'POST', headers: json, body: JSON.stringify(CREDENTIALS) }],
      ['/logout', { method: 'POST', headers: asked }],
      ['/sessions', { method: 'DELETE', headers: asked }],
      ['/me', { method: 'PATCH', headers: json, body: '{\"name\":\"Eve\"}' }],
      // What a form can send; its answer cannot be seen, and is 403.
      ['/logout', { method: 'POST', mode: 'no-cors' }],
      ['/login', { method: 'POST', mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body: JSON.stringify(CREDENTIALS) }],
      ['/me', { mode: 'no-cors' }],
    ];
    return Promise.all(tries.map(([path, how]) => fetch('AT' + path, { credentials: 'include', ...how })
      .then((answer) => answer.type === 'opaque' ? 'opaque' : answer.status, () => 'refused')));";
