//! The pages of sessiond, as a person uses them: one line for each thing that somebody wants.
//!
//! Owns the names of their parts. Must never check more than that the line worked.

use serde_json::Value;

use super::window::Window;
use crate::support::server::TestServer;

/// What a person would type: `http://localhost:port`.
pub fn site(server: &TestServer) -> String {
    format!("http://localhost:{}", server.node().address().port())
}

/// One line of the list of sessions.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Marked as this one.
    pub marked: bool,
    /// Its text, the address and the times left out.
    pub device: String,
    /// Its public id.
    pub id: String,
}

impl Window {
    /// Makes an account at this site and arrives at its page, signed in.
    pub async fn register(&self, site: &str, email: &str, password: &str) {
        self.open(&format!("{site}/#register")).await;
        self.fill("#register-email", email).await;
        self.fill("#register-password", password).await;
        self.click("#register-submit").await;
        self.has_account().await;
    }

    /// Signs in at this site and arrives at the account.
    pub async fn sign_in(&self, site: &str, email: &str, password: &str) {
        self.try_sign_in(site, email, password).await;
        self.has_account().await;
    }

    /// Fills in the form and sends it, whatever comes of it.
    pub async fn try_sign_in(&self, site: &str, email: &str, password: &str) {
        self.open(&format!("{site}/")).await;
        self.fill("#sign-in-email", email).await;
        self.fill("#sign-in-password", password).await;
        self.click("#sign-in-submit").await;
    }

    /// Waits until the account is shown.
    pub async fn has_account(&self) {
        self.text("#who").await;
    }

    /// Waits until the sign-in form is shown.
    pub async fn is_at_the_door(&self) {
        self.text("#sign-in-title").await;
    }

    /// Fills in and sends the form for another password.
    pub async fn change_password(&self, current: &str, new: &str) {
        self.fill("#current-password", current).await;
        self.fill("#new-password", new).await;
        self.click("#password-submit").await;
    }

    /// Fills in and sends the form for another name.
    pub async fn rename(&self, name: &str) {
        self.fill("#name", name).await;
        self.click("#name-submit").await;
    }

    /// Ends the session in this line, and confirms.
    pub async fn end(&self, row: &Row) {
        self.click(&format!("[data-session-id='{}'] .end", row.id)).await;
        self.click("#confirm-yes").await;
    }

    /// Ends all other sessions, and confirms.
    pub async fn end_others(&self) {
        self.click("#end-others").await;
        self.click("#confirm-yes").await;
    }

    /// Waits until the list has this many lines; gives them.
    pub async fn rows(&self, count: usize) -> Vec<Row> {
        self.shows(&format!("document.querySelectorAll('#sessions li').length === {count}")).await;
        let rows = self
            .script(
                "return [...document.querySelectorAll('#sessions li')].map((row) => [
                   row.querySelector('.this-one').checkVisibility(),
                   row.querySelector('.device').textContent,
                   row.dataset.sessionId,
                 ])",
            )
            .await;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let row = |row: &Value| Row { marked: row[0] == true, device: text(&row[1]), id: text(&row[2]) };
        rows.as_array().expect("a list").iter().map(row).collect()
    }

    /// The id of the session that this window is in, once the list has this many lines.
    pub async fn current_id(&self, count: usize) -> String {
        let rows = self.rows(count).await;
        rows.into_iter().find(|row| row.marked).expect("one line is marked").id
    }

    /// Everything in the document, shown or not, the contents of fields among it.
    pub async fn everything(&self) -> String {
        let all = self
            .script(
                "return document.documentElement.outerHTML
                   + [...document.querySelectorAll('input')].map((input) => input.value).join('\\n')",
            )
            .await;
        all.as_str().expect("a text").to_owned()
    }
}
