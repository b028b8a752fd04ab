//! The page behind a link to set a new password, as the command line prints it.

use super::driver::Driver;
use super::page::site;
use crate::support::client::PASSWORD;
use crate::support::server::{Backend, TestServer};

#[tokio::test]
async fn a_link_from_the_command_line_sets_a_password_once_and_ends_every_session() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, owner, site) = (Driver::start(), server.signed_in().await, site(&server));
    let window = driver.window().await;
    let token = server.reset_token(&owner.email);
    let link = format!("{site}/reset#{token}");
    window.open(&link).await;
    window.text("#reset-title").await;
    assert!(!window.address().await.as_str().contains(&token), "the token has left the address bar");
    window.fill("#reset-password", "short").await;
    window.click("#reset-submit").await;
    window.says("#reset-password-error", "Choose a password of at least 8 characters.").await;
    assert!(owner.is_signed_in().await);
    window.fill("#reset-password", "another pass phrase").await;
    window.click("#reset-submit").await;
    window.text("#done-title").await;
    assert!(!owner.is_signed_in().await);

    window.click("#to-sign-in").await;
    window.try_sign_in(&site, &owner.email, PASSWORD).await;
    window.says("#sign-in-result", "The e-mail address or the password is wrong.").await;
    window.sign_in(&site, &owner.email, "another pass phrase").await;

    window.open(&link).await;
    window.fill("#reset-password", "yet another pass phrase").await;
    window.click("#reset-submit").await;
    window.text("#invalid-title").await;
    window.open(&format!("{site}/account")).await;
    window.has_account().await;
    window.assert_quiet_but_for(&["401 /login", "422 /reset"]).await;
}
