//! Every route of `/openapi.json` under `/admin`: for administrators, and for nobody else.
//!
//! Owns what holds for all of them, so that a new one cannot be forgotten.

use serde_json::json;

use crate::api::tools::{Operation, fingerprint, operations};
use crate::support::client::SignedIn;
use crate::support::requests::{Requests, Response};
use crate::support::server::{TestServer, on_each_backend};

async fn admin_operations(server: &TestServer) -> Vec<Operation> {
    let all = operations(server).await.into_iter().filter(|it| it.template.starts_with("/admin/"));
    let all: Vec<Operation> = all.collect();
    assert!(all.len() >= 7, "only {all:?}");
    all
}

/// With a body that is read before anything else, where it wants one.
async fn ask(who: &impl Requests, operation: &Operation) -> Response {
    let call = who.change(operation.method.clone(), &operation.path());
    let body = if operation.template.ends_with("/roles") { json!({ "roles": [] }) } else { json!({ "filter": {} }) };
    let call = if operation.has_body { call.json(&body) } else { call };
    call.send().await
}

on_each_backend! {
    async fn every_admin_route_is_401_without_a_session_and_403_without_the_role(server: TestServer) {
        let (user, visitor) = (server.signed_in().await, server.anonymous());
        let before = fingerprint(&server.stores.database);
        for operation in admin_operations(&server).await {
            ask(&visitor, &operation).await.assert_problem(401, "unauthenticated");
            ask(&user, &operation).await.assert_problem(403, "forbidden");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(user.is_signed_in().await);
    }

    async fn who_is_demoted_is_no_administrator_at_once(server: TestServer) {
        let (admin, other) = (server.admin().await, server.admin().await);
        let all = admin_operations(&server).await;
        let reads = |who: &SignedIn| {
            let who = who.copy_at(&server.url());
            async move { who.get("/admin/users").await.status }
        };
        assert_eq!(reads(other.person()).await, 200);
        let roles = format!("/admin/users/{}/roles", other.person().user_id);
        admin.put_json(&roles, &json!({ "roles": [] })).await.assert_status(204);
        assert_eq!(reads(other.person()).await, 401, "the session has ended, too");
        let again = other.person().sign_in_again().await;
        // And where no session ends, because only the row was changed behind sessiond's back.
        let direct = server.admin().await;
        let sql = format!("UPDATE users SET roles = 'user' WHERE id = '{}'", direct.person().user_id);
        server.stores.database.execute(&sql);
        for operation in all {
            ask(&again, &operation).await.assert_problem(403, "forbidden");
            ask(direct.person(), &operation).await.assert_problem(403, "forbidden");
        }
    }

    async fn every_admin_route_that_changes_something_wants_a_recent_proof(server: TestServer)
    with { "SESSIOND_STEP_UP_AGE": "5m", "SESSIOND_IDLE_TIMEOUT": "1h" } {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        server.clock.advance(std::time::Duration::from_secs(301));
        for operation in admin_operations(&server).await {
            let call = admin.change(operation.method.clone(), &operation.template.replace("{id}", &user.user_id));
            let body = if operation.template.ends_with("/roles") { json!({ "roles": [] }) } else { json!({}) };
            let call = if operation.has_body { call.json(&body) } else { call };
            let answer = call.send().await;
            let is_told = answer.status == 403 && answer.problem() == "step-up-required";
            // A body that is not as it must be, or a session of another name, is told before.
            let is_other = [404, 422].contains(&answer.status);
            assert!(if operation.mutates() { is_told || is_other } else { answer.status != 403 }, "{operation:?}: {answer}");
        }
        assert!(user.is_signed_in().await);
    }
}
