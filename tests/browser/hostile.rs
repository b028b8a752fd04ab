//! Text that would like to be more than text, and scripts that are none of ours.

use reqwest::Method;
use serde_json::json;

use super::driver::Driver;
use super::page::site;
use crate::support::client::{PASSWORD, new_email};
use crate::support::requests::Requests as _;
use crate::support::server::{Backend, TestServer};

const MARKUP: &str = "<img src=x onerror=alert(1)>";

/// Before any script of the page: a service that passes on whatever it was sent.
const CARELESS_SERVICE: &str = "
    const trusted = window.fetch;
    window.fetch = async (...request) => {
      const answer = await trusted(...request);
      if (!String(request[0]).endsWith('/sessions')) return answer;
      const { sessions } = await answer.json();
      for (const session of sessions) {
        session.device = { browser: MARKUP, os: MARKUP, kind: MARKUP };
        session.ip = MARKUP;
      }
      return Response.json({ sessions });
    };";

// An alert would make every later command fail.
#[tokio::test]
async fn names_and_devices_are_shown_as_text_whatever_is_in_them() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, email) = (Driver::start(), new_email());
    let window = driver.window().await;
    window.register(&site(&server), &email, PASSWORD).await;
    window.rename(MARKUP).await;
    window.says("#who", MARKUP).await;

    let credentials = json!({ "email": email, "password": PASSWORD });
    let somebody = server.anonymous();
    let call = somebody.call(Method::POST, "/login").header("User-Agent", MARKUP).json(&credentials);
    call.send().await.assert_status(200);
    window.reload().await;
    assert_eq!(window.rows(2).await[1].device, "Unknown device");
    assert_eq!(window.text("#who").await, MARKUP);

    let careless = CARELESS_SERVICE.replace("MARKUP", &json!(MARKUP).to_string());
    window.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": careless })).await;
    window.reload().await;
    let rows = window.rows(2).await;
    assert_eq!(rows[1].device, format!("{MARKUP} on {MARKUP}"));
    window.click(".session:not(.current) .end").await;
    assert!(window.text("#confirm-text").await.starts_with(MARKUP));
    window.click("#confirm-no").await;
    assert_eq!(window.script("return document.querySelectorAll('img:not([alt=\"\"])').length").await, 0);
    window.assert_quiet().await;
}

#[tokio::test]
async fn a_script_that_is_none_of_ours_does_not_run() {
    let server = TestServer::start(Backend::Embedded).await;
    let driver = Driver::start();
    let window = driver.window().await;
    for path in ["/", "/reset"] {
        window.open(&format!("{}{path}", site(&server))).await;
        window.assert_quiet().await;
        let ran = window
            .script(
                "const script = document.createElement('script');
                 script.textContent = 'window.ran = true';
                 document.body.append(script);
                 document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\" onclick=\"ran = true\">');
                 document.body.lastElementChild.click();
                 return window.ran ?? false",
            )
            .await;
        assert_eq!(ran, false, "{path}");
        let complaints = window.complaints().await;
        let refused = complaints.iter().filter(|line| line.contains("Content Security Policy"));
        assert_eq!(refused.count(), 3, "the script, the style and the handler: {complaints:?}");
    }
}
