//! People who sign in and move about: a node with location files, and sessions from addresses of the test's choice.
//!
//! Owns [`World`]. Must never judge: what is strange is the business of the tests.

use serde_json::Value;
use sessiond::domain::{Client, UserId};

use crate::support::client::SignedIn;
use crate::support::issue;
use crate::support::mmdb::Files;
use crate::support::node::Node;
use crate::support::requests::{Requests, Response};
use crate::support::server::TestServer;
use crate::support::settings::Settings;

pub const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// A node on a test's stores, with location files, that takes each client's address from X-Forwarded-For.
pub struct World {
    pub node: Node,
    pub settings: Settings,
    pub files: Files,
}

impl World {
    /// With further settings.
    pub async fn beside(server: &TestServer, variables: &[(&str, &str)]) -> Self {
        let files = Files::of_the_world();
        let settings = server
            .settings
            .clone()
            .with("SESSIOND_GEOIP_DB", &files.setting())
            .with("SESSIOND_TRUSTED_PROXIES", "127.0.0.1")
            .with("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For")
            .with_all(variables);
        let node = Node::start(&settings, &server.clock).await;
        Self { node, settings, files }
    }

    /// One more session of the same person, signed in from this address.
    pub async fn session(&self, owner: &SignedIn, address: &str) -> SignedIn {
        let user = UserId::parse(&owner.user_id).expect("a user id");
        let ip = address.parse().expect("an address");
        let client = Client { ip, user_agent: Some(FIREFOX.to_owned()), ..issue::client() };
        let issued = self.node.app().sign_in.issue(user, false, &[], &client).await.expect("a session");
        let cookie = issue::signed(&self.settings, &issued.token.expose());
        owner.with_session(&self.node.url(), &issued.session.id.to_string(), &cookie)
    }
}

/// A request from this address.
pub async fn ask_from(who: &SignedIn, address: &str) -> Response {
    let call = who.call(reqwest::Method::GET, "/auth/forward").header("User-Agent", FIREFOX);
    call.header("X-Forwarded-For", address).send().await
}

/// The alerts about somebody, the newest first, as an administrator sees them.
pub async fn alerts_about(admin: &impl Requests, who: &SignedIn) -> Vec<Value> {
    let answer = admin.get("/admin/alerts?state=all&limit=200").await;
    let alerts = answer.assert_status(200).json()["alerts"].as_array().cloned().expect("a list");
    alerts.into_iter().filter(|alert| alert["user"]["id"] == who.user_id.as_str()).collect()
}

/// The rules that an alert names.
pub fn rules(alert: &Value) -> Vec<&str> {
    let signals = alert["signals"].as_array().expect("a list");
    signals.iter().filter_map(|signal| signal["rule"].as_str()).collect()
}

/// The sessions that an alert names.
pub fn named(alert: &Value) -> Vec<&str> {
    alert["sessions"].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}
