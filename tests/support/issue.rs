//! Sessions that are issued without a password: for tests that need many.
//!
//! Owns the way round the password gate, which is the one that an embedding application takes (`SignIns::issue`), and
//! the signing of the cookie that the server would have set.

use std::net::IpAddr;

use actix_web::cookie::{Cookie, CookieJar, Key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sessiond::domain::{Client, UserId};
use sessiond::service::App;

use super::client::{COOKIE, SignedIn};
use super::process::command_line_ok;
use super::server::TestServer;
use super::settings::Settings;

impl TestServer {
    /// One more session of the same person, at this server.
    pub async fn issue(&self, owner: &SignedIn) -> SignedIn {
        issue_at(self.node().app(), &self.settings, owner, &self.url()).await
    }

    /// The token of a link to set a new password, made on the command line.
    pub fn reset_token(&self, email: &str) -> String {
        let printed = command_line_ok(&self.settings, &["user", "reset", email], "");
        let link = printed.split_whitespace().find(|word| word.contains("/reset#")).expect("a link");
        link.rsplit('#').next().expect("a fragment").to_owned()
    }
}

/// One more session of the same person, issued by this service.
pub async fn issue_at(app: &App, settings: &Settings, owner: &SignedIn, base: &str) -> SignedIn {
    let user = UserId::parse(&owner.user_id).expect("a user id");
    let issued = app.sign_in.issue(user, false, &[], &client()).await.expect("a session");
    let cookie = signed(settings, &issued.token.expose());
    owner.with_session(base, &issued.session.id.to_string(), &cookie)
}

/// A request from this machine.
pub fn client() -> Client {
    let random = [super::ports::random().to_be_bytes(), super::ports::random().to_be_bytes()].concat();
    let request_id = uuid::Uuid::from_slice(&random).expect("16 bytes");
    Client { ip: IpAddr::from([127, 0, 0, 1]), user_agent: Some("curl/8.5.0".to_owned()), request_id }
}

/// The cookie's value for a token, signed with the key in these settings.
pub fn signed(settings: &Settings, token: &str) -> String {
    let key = settings.get("SESSIOND_COOKIE_KEY").expect("a cookie key");
    let key = Key::from(&STANDARD.decode(key).expect("base64"));
    let mut jar = CookieJar::new();
    jar.signed_mut(&key).add(Cookie::new(COOKIE, token.to_owned()));
    let value = jar.get(COOKIE).expect("the cookie").value().to_owned();
    value.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}
