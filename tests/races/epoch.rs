//! A sign-in that has verified its password, held before it is admitted, while something ends all of the user's sessions:
//! it is refused, whichever that was.
//!
//! Owns the window: one node's first question about the user after the password, which a proxy holds back, while the other
//! node does the rest. Only the epoch tells: the account is enabled again, the roles are back, when the sign-in goes on.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sessiond::domain::MovableClock;

use crate::support::client::{Admin, Anonymous, PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::node::Node;
use crate::support::process::command_line_ok;
use crate::support::proxy::{Proxy, contains};
use crate::support::requests::{Requests, Response};
use crate::support::server::{Stores, TestServer};

/// Two nodes: one at a PostgreSQL that can be held back, one that nothing hinders.
struct World {
    held: Node,
    server: TestServer,
    proxy: Proxy,
    admin: Admin,
}

impl World {
    async fn start() -> Self {
        let stores = Stores::of(Database::postgres(), None);
        let Database::Postgres(database) = &stores.database else { panic!("PostgreSQL was asked for") };
        let proxy = Proxy::start(database.address());
        let settings = stores.settings();
        let through = settings.clone().with("DATABASE_URL", &proxy.in_url(&stores.database.url()));
        let server = TestServer::on(stores, settings).await;
        let held = Node::start(&through, &Arc::new(MovableClock::default())).await;
        let admin = server.admin().await;
        Self { held, server, proxy, admin }
    }

    /// Signs in at the node that is held, from the password on, until `meanwhile` is done.
    async fn sign_in_around(&self, owner: &SignedIn, meanwhile: impl Future<Output = ()>) -> Response {
        let hold = self.proxy.hold_first(1, contains(owner.user_id.as_str()));
        let (url, email) = (self.held.url(), owner.email.clone());
        let signing_in = tokio::spawn(async move { Anonymous::at(&url).login(&email, PASSWORD).await });
        hold.caught().await;
        meanwhile.await;
        hold.release();
        tokio::time::timeout(Duration::from_secs(20), signing_in).await.expect("in time").expect("an answer")
    }

    async fn assert_refused(&self, what: &str, owner: &SignedIn, meanwhile: impl Future<Output = ()>) {
        let live = format!("user_id = '{}' AND ended_at IS NULL", owner.user_id);
        let answer = self.sign_in_around(owner, meanwhile).await;
        let ids = format!("SELECT coalesce(string_agg(id, ' '), '') AS value FROM sessions WHERE {live}");
        let left = self.server.stores.database.value(&ids);
        assert_eq!((answer.status, answer.set_cookies().len()), (401, 0), "{what}: {answer}; alive: {left}");
        assert!(left.is_empty() || left == owner.session_id, "{what}: {left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_was_verified_before_is_refused_after_whatever_ended_all_sessions() {
    let world = World::start().await;
    let (server, admin) = (&world.server, &world.admin);
    let owner = server.signed_in().await;
    let answer = world.sign_in_around(&owner, async {}).await;
    answer.assert_status(200);

    world
        .assert_refused("their own end of all", &owner, async {
            owner.end_all().await.assert_status(200);
        })
        .await;

    let owner = server.signed_in().await;
    let path = format!("/admin/users/{}", owner.user_id);
    world
        .assert_refused("an administrator's end of all", &owner, async {
            admin.delete(&format!("{path}/sessions")).await.assert_status(200);
        })
        .await;

    let put = async |roles: &[&str]| {
        admin.put_json(&format!("{path}/roles"), &json!({ "roles": roles })).await.assert_status(204);
    };
    world
        .assert_refused("other roles, and back", &owner, async {
            put(&["admin"]).await;
            put(&[]).await;
        })
        .await;

    world
        .assert_refused("disabled, and enabled again", &owner, async {
            admin.disable(&owner.user_id).await.assert_status(204);
            admin.enable(&owner.user_id).await.assert_status(204);
        })
        .await;

    let owner = server.signed_in().await;
    world
        .assert_refused("a new password", &owner, async {
            owner.change_password(PASSWORD, "another four plain words").await.assert_status(200);
        })
        .await;

    let owner = server.signed_in().await;
    world
        .assert_refused("a reset", &owner, async {
            let token = server.reset_token(&owner.email);
            let body = json!({ "token": token, "new_password": "another four plain words" });
            server.anonymous().post_json("/reset", &body).await.assert_status(204);
        })
        .await;

    let owner = server.signed_in().await;
    world
        .assert_refused("a deletion", &owner, async {
            admin.delete(&format!("/admin/users/{}", owner.user_id)).await.assert_status(204);
        })
        .await;

    // Last: it ends everybody's sessions.
    let owner = server.signed_in().await;
    world
        .assert_refused("a ledger that was restored", &owner, async {
            drop(command_line_ok(&server.settings, &["ledger", "restored", "--yes"], ""));
        })
        .await;
}
