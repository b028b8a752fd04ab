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

    /// What was wrong, if anything was.
    async fn admitted(&self, what: &str, owner: &SignedIn, meanwhile: impl Future<Output = ()>) -> Option<String> {
        let live = format!("user_id = '{}' AND ended_at IS NULL", owner.user_id);
        let answer = self.sign_in_around(owner, meanwhile).await;
        let ids = format!("SELECT coalesce(string_agg(id, ' '), '') AS value FROM sessions WHERE {live}");
        let left = self.server.stores.database.value(&ids);
        let refused = answer.status == 401 && answer.set_cookies().is_empty();
        let nobody_else = left.is_empty() || left == owner.session_id;
        (!refused || !nobody_else).then(|| format!("{what}: {}, alive: {left}", answer.status))
    }
}

async fn by_administrators(world: &World) -> Vec<Option<String>> {
    let (owner, admin) = (world.server.signed_in().await, &world.admin);
    let path = format!("/admin/users/{}", owner.user_id);
    let all = async { drop(admin.delete(&format!("{path}/sessions")).await.assert_status(200).text()) };
    let put = async |roles: &[&str]| {
        admin.put_json(&format!("{path}/roles"), &json!({ "roles": roles })).await.assert_status(204);
    };
    let other_roles = async {
        put(&["admin"]).await;
        put(&[]).await;
    };
    let disabled = async {
        admin.disable(&owner.user_id).await.assert_status(204);
        admin.enable(&owner.user_id).await.assert_status(204);
    };
    let deleted = async { drop(admin.delete(&path).await.assert_status(204).text()) };
    vec![
        world.admitted("an administrator's end of all", &owner, all).await,
        world.admitted("other roles, and back", &owner, other_roles).await,
        world.admitted("disabled, and enabled again", &owner, disabled).await,
        world.admitted("deleted", &owner, deleted).await,
    ]
}

async fn by_the_owner(world: &World) -> Vec<Option<String>> {
    const NEW: &str = "another four plain words";
    let server = &world.server;
    let [one, two, three, four] =
        [server.signed_in().await, server.signed_in().await, server.signed_in().await, server.signed_in().await];
    let all = async { drop(one.end_all().await.assert_status(200).text()) };
    let new_password = async { drop(two.change_password(PASSWORD, NEW).await.assert_status(200).text()) };
    let reset = async {
        let body = json!({ "token": server.reset_token(&three.email), "new_password": NEW });
        server.anonymous().post_json("/reset", &body).await.assert_status(204);
    };
    // Last: it ends everybody's sessions.
    let restored = async { drop(command_line_ok(&server.settings, &["ledger", "restored", "--yes"], "")) };
    vec![
        world.admitted("their own end of all", &one, all).await,
        world.admitted("a new password", &two, new_password).await,
        world.admitted("a reset", &three, reset).await,
        world.admitted("a ledger that was restored", &four, restored).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_was_verified_before_is_refused_after_whatever_ended_all_sessions() {
    let world = World::start().await;
    let owner = world.server.signed_in().await;
    world.sign_in_around(&owner, async {}).await.assert_status(200);
    let found: Vec<_> = [by_administrators(&world).await, by_the_owner(&world).await].concat();
    let admitted: Vec<_> = found.into_iter().flatten().collect();
    assert!(admitted.is_empty(), "\n{}", admitted.join("\n"));
}
