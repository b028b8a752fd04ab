//! `/events`: an open page is told what happens to its session, with the reason, whoever did it and however.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::client::{PASSWORD, SignedIn};
use crate::support::events::Events;
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const NEW: &str = "another four plain words";

on_each_backend! {
    async fn a_stream_says_whose_it_is_and_how_it_wants_to_be_passed_on(server: TestServer) {
        let owner = server.signed_in().await;
        let mut events = Events::try_of(&owner).await.expect("a stream");
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(events.header(name), Some(value), "{name}");
        }
        let first = events.next().await.expect("an event");
        assert_eq!((first.event.as_str(), first.data), ("session", json!({ "session": owner.session_id })));
        assert_eq!(events.retry.as_deref(), Some("2000"));
        events.assert_silent(SECOND).await;
        server.anonymous().get("/events").await.assert_problem(401, "unauthenticated");
        let head = owner.call(Method::HEAD, "/events").send().await;
        assert_eq!(head.assert_status(200).header("content-type"), Some("text/event-stream"));
        owner.sign_out().await.assert_status(204);
        assert_eq!(events.ending().await, "signed_out");
    }

    async fn each_end_is_told_with_its_reason_and_the_stream_closes(server: TestServer) {
        let admin = server.admin().await;
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        let mut events = Events::of(&other).await;
        owner.end_session(&other.session_id).await.assert_status(204);
        assert_eq!(events.ending().await, "signed_out_elsewhere");

        let mut events = Events::of(&server.issue(&owner).await).await;
        owner.end_others().await.assert_status(200);
        assert_eq!(events.ending().await, "signed_out_elsewhere");

        let other = server.issue(&owner).await;
        let mut events = Events::of(&other).await;
        admin.delete(&format!("/admin/sessions/{}", other.session_id)).await.assert_status(204);
        assert_eq!(events.ending().await, "revoked");

        let mut events = Events::of(&server.issue(&owner).await).await;
        owner.change_password(PASSWORD, NEW).await.assert_status(200);
        assert_eq!(events.ending().await, "password_changed");

        let mut events = Events::of(&owner).await;
        let token = server.reset_token(&owner.email);
        server.anonymous().post_json("/reset", &json!({ "token": token, "new_password": PASSWORD })).await.assert_status(204);
        assert_eq!(events.ending().await, "password_reset");

        let owner = owner.sign_in_anew(&server, PASSWORD).await;
        let mut events = Events::of(&owner).await;
        owner.post_json("/login", &json!({ "email": owner.email, "password": PASSWORD })).await.assert_status(200);
        assert_eq!(events.ending().await, "replaced");

        let mut events = Events::of(&server.issue(&owner).await).await;
        let (path, roles) = (format!("/admin/users/{}/roles", owner.user_id), json!({ "roles": ["user", "admin"] }));
        admin.put_json(&path, &roles).await.assert_status(204);
        assert_eq!(events.ending().await, "roles_changed");

        let mut events = Events::of(&server.issue(&owner).await).await;
        admin.disable(&owner.user_id).await.assert_status(204);
        assert_eq!(events.ending().await, "disabled");

        let somebody = server.signed_in().await;
        let mut events = Events::of(&somebody).await;
        admin.delete(&format!("/admin/users/{}", somebody.user_id)).await;
        assert_eq!(events.ending().await, "user_deleted");
    }
}

impl SignedIn {
    async fn sign_in_anew(&self, server: &TestServer, password: &str) -> Self {
        server.anonymous().sign_in(&self.email, password).await
    }
}
