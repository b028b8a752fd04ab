//! The console, as an administrator uses it: one line for each thing that somebody wants.
//!
//! Owns the names of its parts, and what the ledger has to hold for it to show. Must never check more than that the line
//! worked.

use serde_json::json;

use super::window::Window;
use crate::support::server::TestServer;

impl Window {
    /// Fills in the sign-in form that is shown, and sends it.
    pub async fn enter(&self, email: &str, password: &str) {
        self.fill("#sign-in-email", email).await;
        self.fill("#sign-in-password", password).await;
        self.click("#sign-in-submit").await;
    }

    /// Waits until this view is shown, and shows what the service has answered.
    pub async fn arrives_at_view(&self, view: &str) {
        let name = view.split('?').next().unwrap_or(view);
        self.shows(&format!(
            "!document.querySelector('#{name}-view').hidden && document.querySelector('main').ariaBusy === 'false'"
        ))
        .await;
    }

    /// Presses a button over an account, as soon as it is there.
    pub async fn acts(&self, name: &str) {
        let find = format!(
            "[...document.querySelectorAll('#person-acts button')].find((one) => one.textContent === {})",
            json!(name)
        );
        self.shows(&format!("document.querySelector('main').ariaBusy === 'false' && {find}")).await;
        self.script(&format!("{find}.click()")).await;
    }

    /// What is in a field.
    pub async fn value(&self, css: &str) -> String {
        let value = self.script(&format!("return document.querySelector({}).value", json!(css))).await;
        value.as_str().expect("a field").to_owned()
    }
}

/// As if the location file had said that this session is from there.
pub fn place(server: &TestServer, session: &str, country: &str) {
    server.stores.database.execute(&format!(
        "UPDATE sessions SET country = '{country}', city = 'Somewhere', asn = 64496, network = 'EXAMPLE-NET', risk = 60
         WHERE id = '{session}'"
    ));
}

/// As if the rules had found this strange. Once for a server.
pub fn alert_about(server: &TestServer, user: &str, sessions: &[&str], reasons: &[&str]) {
    let id = "019a0000-0000-7000-8000-000000000001";
    let signals: Vec<_> =
        reasons.iter().map(|reason| json!({ "rule": "several_countries", "weight": 60, "reason": reason })).collect();
    let database = &server.stores.database;
    database.execute(&format!(
        "INSERT INTO alerts (id, opened_at, user_id, risk, action, signals)
         VALUES ('{id}', 1795363200000, '{user}', 60, 'alert', '{}')",
        json!(signals)
    ));
    for session in sessions {
        database.execute(&format!("INSERT INTO alert_sessions (alert_id, session_id) VALUES ('{id}', '{session}')"));
    }
}
