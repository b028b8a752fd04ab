//! One browser window: what a person can do with it, and what only a developer sees.
//!
//! Owns the waiting: a page is asked again until it is as expected. Must never know a page of sessiond.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::cookies::Cookie;
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, Locator};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(15);
const FAILED_FETCH: &str = "Failed to load resource: the server responded with a status of ";

/// One tab of a browser.
pub type Tab = WindowHandle;

/// A browser with one window.
pub struct Window {
    client: Client,
}

impl Window {
    /// The window of this WebDriver session.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url} does not open: {error}"));
    }

    /// The button "back".
    pub async fn back(&self) {
        self.client.back().await.expect("there is a page before");
    }

    /// The button "reload".
    pub async fn reload(&self) {
        self.client.refresh().await.expect("the page loads again");
    }

    /// The button "forward".
    pub async fn forward(&self) {
        self.client.forward().await.expect("there is a page after");
    }

    /// A new tab of the same browser, which is in front afterwards.
    pub async fn new_tab(&self) -> Tab {
        let tab = self.client.new_window(true).await.expect("a tab opens").handle;
        self.go_to(&tab).await;
        tab
    }

    /// The tab in front: everything else is about this one.
    pub async fn tab(&self) -> Tab {
        self.client.window().await.expect("a tab is in front")
    }

    /// Brings a tab to the front.
    pub async fn go_to(&self, tab: &Tab) {
        self.client.switch_to_window(tab.clone()).await.expect("the tab is there");
    }

    /// Closes the tab in front; another one has to be brought to the front.
    pub async fn close_tab(&self) {
        self.client.close_window().await.expect("the tab closes");
    }

    /// Presses a key, wherever the focus is.
    pub async fn press(&self, key: Key) {
        let keys = [KeyAction::Down { value: key.into() }, KeyAction::Up { value: key.into() }];
        let actions = keys.into_iter().fold(KeyActions::new("keyboard".to_owned()), KeyActions::then);
        self.client.perform_actions(actions).await.expect("the key is pressed");
    }

    /// A script that runs before those of every page that this tab loads from now on.
    pub async fn before_every_page(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// The address bar.
    pub async fn address(&self) -> Url {
        self.client.current_url().await.expect("an address")
    }

    /// Waits until the window is at this path.
    pub async fn arrives_at(&self, path: &str) {
        self.shows(&format!("location.pathname === {}", json!(path))).await;
    }

    /// What a script gives; a promise is waited for.
    pub async fn script(&self, body: &str) -> Value {
        self.try_script(body).await.unwrap_or_else(|error| panic!("the script fails: {error}\n{body}"))
    }

    /// Waits until this expression is true.
    pub async fn shows(&self, expression: &str) {
        let body = format!("return Boolean({expression})");
        // A page that is just being left answers with an error.
        until(expression, PATIENCE, || async { self.try_script(&body).await.is_ok_and(|it| it == true) }).await;
    }

    /// Waits until an element is there and can be seen; gives its text.
    pub async fn text(&self, css: &str) -> String {
        let body = format!("return document.querySelector({}).innerText", json!(css));
        self.shows(&visible(css)).await;
        self.script(&body).await.as_str().expect("a text").to_owned()
    }

    /// Waits until an element shows this text.
    pub async fn says(&self, css: &str, text: &str) {
        let css = json!(css);
        self.shows(&format!("document.querySelector({css})?.innerText.trim() === {}", json!(text))).await;
    }

    /// True if an element can be seen now.
    pub async fn sees(&self, css: &str) -> bool {
        self.script(&format!("return {}", visible(css))).await == true
    }

    /// Clicks on an element, as soon as it can be seen.
    pub async fn click(&self, css: &str) {
        self.element(css).await.click().await.unwrap_or_else(|error| panic!("{css} cannot be clicked: {error}"));
    }

    /// Replaces what is in a field by this text, key by key.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.element(css).await;
        field.clear().await.expect("a field");
        field.send_keys(text).await.unwrap_or_else(|error| panic!("{css} takes no text: {error}"));
    }

    /// A stored cookie, `HttpOnly` or not.
    pub async fn cookie(&self, name: &str) -> Option<Cookie<'static>> {
        self.cookies().await.into_iter().find(|cookie| cookie.name() == name)
    }

    /// All cookies for this page.
    pub async fn cookies(&self) -> Vec<Cookie<'static>> {
        self.client.get_all_cookies().await.expect("the cookies")
    }

    /// A command of the browser's own protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let command = Extension { path: "goog/cdp/execute", body: json!({ "cmd": command, "params": parameters }) };
        self.client.issue_cmd(command).await.expect("the browser obeys")
    }

    /// The whole page as a PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let how = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.devtools("Page.captureScreenshot", how).await;
        STANDARD.decode(answer["data"].as_str().expect("a picture")).expect("base64")
    }

    /// Warnings and errors in the console since the last call. A request that was answered with an error is
    /// written as `401 /me`.
    pub async fn complaints(&self) -> Vec<String> {
        let command = Extension { path: "se/log", body: json!({ "type": "browser" }) };
        let log = self.client.issue_cmd(command).await.expect("the console's log");
        let lines = log.as_array().expect("a list").iter();
        let serious = lines.filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
        serious.map(|line| shortened(line["message"].as_str().unwrap_or_default())).collect()
    }

    /// Panics if there is a warning or an error in the console.
    pub async fn assert_quiet(&self) {
        self.assert_quiet_but_for(&[]).await;
    }

    /// Panics if there is a warning or an error in the console other than these failed requests.
    pub async fn assert_quiet_but_for(&self, expected: &[&str]) {
        let surprises: Vec<String> =
            self.complaints().await.into_iter().filter(|line| !expected.contains(&line.as_str())).collect();
        assert_eq!(surprises, Vec::<String>::new());
    }

    async fn element(&self, css: &str) -> Element {
        self.shows(&visible(css)).await;
        self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("no {css}: {error}"))
    }

    async fn try_script(&self, body: &str) -> Result<Value, CmdError> {
        self.client.execute(body, Vec::new()).await
    }
}

fn visible(css: &str) -> String {
    format!("(document.querySelector({})?.checkVisibility({{ visibilityProperty: true }}) ?? false)", json!(css))
}

/// `401 /me` for a failed request; anything else as it is.
fn shortened(message: &str) -> String {
    let failed = message.split_once(FAILED_FETCH).and_then(|(before, after)| {
        let url = Url::parse(before.split(' ').next()?).ok()?;
        Some(format!("{} {}", after.split(' ').next()?, url.path()))
    });
    failed.unwrap_or_else(|| message.to_owned())
}

/// A command that is chromedriver's own.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
