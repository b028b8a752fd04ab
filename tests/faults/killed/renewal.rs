//! The renewal of a token, which no route asks for: an application does, in a process of its own.
//!
//! Owns what that process does. It is this test program, started again by the test that has it killed.

use sessiond::config::Config;
use sessiond::domain::Token;
use sessiond::server::{Parts, open_to_serve};
use sessiond::service::Activity;

use crate::support::issue::client;

/// What the other process is to run.
pub const NAME: &str = "faults::killed::renewal::in_a_process_of_its_own";
/// The environment variable with the token to renew.
pub const TOKEN: &str = "RENEW_TOKEN";

#[tokio::test]
#[ignore = "is started by the test that has it killed"]
async fn in_a_process_of_its_own() {
    let Ok(token) = std::env::var(TOKEN) else { return };
    // The fault point is no setting.
    let settings: Vec<_> = std::env::vars().filter(|(name, _)| name != "SESSIOND_FAULT_POINT").collect();
    let pairs = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let config = Config::from_pairs(pairs).expect("settings");
    let app = open_to_serve(&config, Parts::default()).await.expect("stores");
    let token = Token::parse(&token).expect("a token");
    let checked =
        app.check.authenticate(&token, client().ip, Activity::Background).await.expect("an answer").expect("a session");
    app.sign_in.renew(&checked, &client()).await.expect("a renewed session");
}
