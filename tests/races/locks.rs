//! What is judged under the locks: each change that a person causes is held at its lock, while whatever it goes by is
//! taken away; then the lock is given free.
//!
//! Owns the table of all such changes and of all that can be taken away. The lock is the test's own, so that the window
//! is open in every run and nothing depends on who is faster. On PostgreSQL: on SQLite a transaction is alone from its
//! first statement on.
#![cfg(feature = "postgres")]

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{PgConnection, QueryableByName, RunQueryDsl, sql_query};
use serde_json::json;
use sessiond::domain::{AlertId, Client, Token};
use sessiond::service::{Activity, App, Checked, DataError, Denied};

use crate::support::client::{Admin, COOKIE, PASSWORD, SignedIn, new_email};
use crate::support::database::Database;
use crate::support::issue::client;
use crate::support::process::command_line;
use crate::support::requests::{Requests, Response};
use crate::support::server::{Backend, TestServer};
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(10);

/// Who acts, upon whom, and on what.
struct Scene {
    server: TestServer,
    admin: Admin,
    user: SignedIn,
    /// A session of the user that nobody uses.
    other: SignedIn,
    alert: String,
}

#[derive(QueryableByName)]
struct TextValue {
    #[diesel(sql_type = Text)]
    value: String,
}

/// A change, under way.
type Doing<'a> = Pin<Box<dyn Future<Output = (u16, String)> + 'a>>;
type Do = for<'a> fn(&'a Scene, &'a SignedIn) -> Doing<'a>;

/// What somebody needs for a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    /// A session that lives.
    Life,
    /// A proof that counts.
    Counting,
    /// A recent one.
    Recent,
    /// That, and to be an administrator.
    Role,
}

/// What is taken away, from whom; `:user` and `:session` are filled in.
struct Loss {
    what: &'static str,
    sql: &'static str,
    /// Who needs at least so much is refused…
    concerns: Needs,
    /// …with this.
    answer: (u16, &'static str),
}

const UNAUTHENTICATED: (u16, &str) = (401, "unauthenticated");

const LOSSES: &[Loss] = &[
    Loss {
        what: "the session has ended",
        sql: "UPDATE sessions SET ended_at = 1, end_reason = 'revoked' WHERE id = ':session'",
        concerns: Needs::Life,
        answer: UNAUTHENTICATED,
    },
    Loss {
        what: "the token was renewed",
        sql: "UPDATE sessions SET token_hash = sha256(token_hash) WHERE id = ':session'",
        concerns: Needs::Life,
        answer: UNAUTHENTICATED,
    },
    Loss {
        what: "the session is over by itself",
        // Just now: a row that was over for 90 days may be purged in the middle of this.
        sql: "UPDATE sessions SET expires_at = created_at WHERE id = ':session'",
        concerns: Needs::Life,
        answer: UNAUTHENTICATED,
    },
    Loss {
        what: "the account is disabled",
        sql: "UPDATE users SET disabled_at = 1 WHERE id = ':user'",
        concerns: Needs::Life,
        answer: UNAUTHENTICATED,
    },
    Loss {
        what: "the account is deleted",
        sql: "UPDATE users SET deleted_at = 1, name = NULL WHERE id = ':user'",
        concerns: Needs::Life,
        answer: UNAUTHENTICATED,
    },
    Loss {
        what: "the proof counts no more",
        sql: "UPDATE sessions SET challenged_at = 1 WHERE id = ':session'",
        concerns: Needs::Counting,
        answer: (403, "step-up-required"),
    },
    Loss {
        what: "the proof is old",
        sql: "UPDATE sessions SET authenticated_at = 1 WHERE id = ':session'",
        concerns: Needs::Recent,
        answer: (403, "step-up-required"),
    },
    Loss {
        what: "the role was taken away",
        sql: "UPDATE users SET roles = 'user' WHERE id = ':user'",
        concerns: Needs::Role,
        answer: (403, "forbidden"),
    },
];

/// All that people can change by a session, and what they need for it.
const CHANGES: &[(&str, Needs, Do)] = &[
    ("PATCH /me", Needs::Counting, |_, who| told(async { who.rename(Some("Somebody Else")).await })),
    ("PUT /me/password", Needs::Life, |_, who| {
        told(async { who.change_password(PASSWORD, "another four plain words").await })
    }),
    ("POST /reauthenticate", Needs::Life, |_, who| told(async { who.reauthenticate(PASSWORD).await })),
    ("session data", Needs::Life, |scene, who| {
        embedded(scene, who, |app, checked, _| async move {
            app.sign_in.store_data(&checked, &[("cart".to_owned(), "[1]".to_owned())].into()).await
        })
    }),
    ("a renewal", Needs::Life, |scene, who| {
        embedded(scene, who, |app, checked, client| async move { app.sign_in.renew(&checked, &client).await.map(drop) })
    }),
    // Signing out oneself asks for nothing: it is over either way.
    ("DELETE /sessions/{id}", Needs::Recent, |scene, who| {
        told(async { who.end_session(&scene.other.session_id).await })
    }),
    ("DELETE /sessions", Needs::Recent, |_, who| told(async { who.end_others().await })),
    ("DELETE /sessions, all", Needs::Recent, |_, who| told(async { who.end_all().await })),
    ("PUT roles of oneself", Needs::Role, |_, who| told(put_roles(who, &who.user_id, &["admin"]))),
    ("PUT roles", Needs::Role, |scene, who| told(put_roles(who, &scene.user.user_id, &["admin"]))),
    ("POST enable oneself", Needs::Role, |_, who| told(upon(who, &who.user_id, "enable"))),
    ("POST enable", Needs::Role, |scene, who| told(upon(who, &scene.user.user_id, "enable"))),
    ("POST disable", Needs::Role, |scene, who| told(upon(who, &scene.user.user_id, "disable"))),
    ("DELETE the account", Needs::Role, |scene, who| {
        told(async { who.delete(&format!("/admin/users/{}", scene.user.user_id)).await })
    }),
    ("DELETE all sessions of", Needs::Role, |scene, who| {
        told(async { who.delete(&format!("/admin/users/{}/sessions", scene.user.user_id)).await })
    }),
    ("DELETE a session of", Needs::Role, |scene, who| {
        told(async { who.delete(&format!("/admin/sessions/{}", scene.other.session_id)).await })
    }),
    ("POST /admin/sessions/revoke", Needs::Role, |scene, who| told(revoke(who, json!({ "user": scene.user.user_id })))),
    ("POST /admin/sessions/revoke of nobody's", Needs::Role, |_, who| {
        told(revoke(who, json!({ "ip": "203.0.113.9" })))
    }),
    ("POST acknowledge", Needs::Role, |scene, who| {
        told(async { who.post(&format!("/admin/alerts/{}/acknowledge", scene.alert)).await })
    }),
];

fn told<'a>(answer: impl Future<Output = Response> + 'a) -> Doing<'a> {
    Box::pin(async {
        let answer = answer.await;
        let problem = if answer.status < 400 { answer.text() } else { answer.problem() };
        (answer.status, problem)
    })
}

/// What has no route here: an application in the same process does it.
fn embedded<'a, F>(
    scene: &'a Scene,
    who: &'a SignedIn,
    change: impl FnOnce(App, Checked, Client) -> F + 'a,
) -> Doing<'a>
where
    F: Future<Output = Result<(), DataError>>,
{
    Box::pin(async move {
        let app = scene.server.node().app().clone();
        let token = Token::parse(&who.token()).expect("a token");
        let checked = app.check.authenticate(&token, IpAddr::from([127, 0, 0, 1]), Activity::Active).await;
        match change(app, checked.expect("an answer").expect("a live session"), client()).await {
            Ok(()) => (200, String::new()),
            Err(DataError::Denied(Denied::Ended)) => (401, "unauthenticated".to_owned()),
            Err(error) => panic!("{error}"),
        }
    })
}

async fn put_roles(who: &SignedIn, of: &str, roles: &[&str]) -> Response {
    who.put_json(&format!("/admin/users/{of}/roles"), &json!({ "roles": roles })).await
}

async fn upon(who: &SignedIn, of: &str, what: &str) -> Response {
    who.post(&format!("/admin/users/{of}/{what}")).await
}

async fn revoke(who: &SignedIn, filter: serde_json::Value) -> Response {
    who.post_json("/admin/sessions/revoke", &json!({ "filter": filter, "dry_run": false, "limit": 100 })).await
}

impl Scene {
    async fn start() -> Self {
        let server = TestServer::with(Backend::Production, &[("SESSIOND_MAX_SESSIONS", "1000")]).await;
        let admin = server.admin().await;
        let user = server.signed_in().await;
        let other = server.issue(&user).await;
        let alert =
            AlertId::generate(sessiond::domain::Timestamp::from_ms(1), &sessiond::domain::SystemRandom).to_string();
        server.stores.database.execute(&format!(
            "INSERT INTO alerts (id, opened_at, user_id, risk, action, signals) VALUES ('{alert}', 1, '{}', 90, 'alert', '[]')",
            user.user_id
        ));
        Self { server, admin, user, other, alert }
    }

    fn database(&self) -> &Database {
        &self.server.stores.database
    }

    /// Takes the lock on these people's rows, in a transaction of the test's own.
    fn hold(&self, people: &[&str]) -> PgConnection {
        let Database::Postgres(database) = self.database() else { panic!("PostgreSQL was asked for") };
        let mut window = database.connect();
        let people = people.join("', '");
        let sql = format!("BEGIN; SELECT 1 FROM users WHERE id IN ('{people}') ORDER BY id FOR UPDATE");
        window.batch_execute(&sql).expect("the lock");
        window
    }

    async fn until_it_waits(&self, what: &str) {
        let waiting = "SELECT CAST(count(*) AS TEXT) AS value FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until(&format!("{what} waits for the lock"), PATIENCE, async || self.database().value(waiting) != "0").await;
    }

    /// All that a change could change; when a session was last seen is none of it.
    fn state() -> String {
        let rows = |table: &str, columns: &str| {
            format!("(SELECT string_agg(concat_ws(',', {columns}), ';' ORDER BY {columns}) FROM {table})")
        };
        let tables = [
            rows("users", "id, email, name, password_hash, roles, epoch, disabled_at, deleted_at, erased_at"),
            rows("sessions", "id, token_hash, data, ended_at, authenticated_at, challenged_at"),
            rows("user_names", "name, user_id"),
            rows("former_tokens", "token_hash"),
            rows("alerts", "id, acknowledged_at"),
            rows("password_resets", "token_hash, used_at"),
        ];
        format!("SELECT concat_ws('|', {}) AS value", tables.join(", "))
    }

    /// As somebody else the account is whole again.
    fn restore(&self) {
        let (admin, user) = (&self.admin.person().user_id, &self.user.user_id);
        self.database().execute(&format!(
            "UPDATE users SET disabled_at = NULL, deleted_at = NULL; UPDATE users SET roles = 'user admin' WHERE id = '{admin}'; \
             UPDATE users SET roles = 'user' WHERE id = '{user}'; UPDATE alerts SET acknowledged_at = NULL"
        ));
    }

    /// Holds `change` at the lock of these people, takes something away, and lets it go. What it was told, and whether
    /// nothing changed but what was taken.
    async fn while_it_waits(
        &self,
        what: &str,
        people: &[&str],
        loss: &str,
        change: Doing<'_>,
    ) -> ((u16, String), bool) {
        let mut window = self.hold(people);
        let meanwhile = async {
            self.until_it_waits(what).await;
            window.batch_execute(loss).expect("it is taken away");
            // In the window still: what waits goes on with the commit.
            let before = sql_query(Self::state()).get_result::<TextValue>(&mut window).expect("a state");
            window.batch_execute("COMMIT").expect("the lock is free");
            before.value
        };
        // The change first: it is under way before anybody looks whether it waits.
        let (answer, before) = tokio::join!(change, meanwhile);
        let after = self.database().value(&Self::state());
        if before != after {
            println!("{what}: from\n{before}\nto\n{after}");
        }
        (answer, before == after)
    }
}

/// The proof of whoever acts is judged when the lock is theirs: a session that ended, a token that was renewed, a proof
/// that counts no more, a role, an account.
#[tokio::test]
async fn whoever_waits_for_a_lock_is_judged_when_they_have_it() {
    let scene = Scene::start().await;
    let mut failures = Vec::new();
    for (name, needs, change) in CHANGES {
        for loss in LOSSES.iter().filter(|loss| *needs >= loss.concerns) {
            let owner = if *needs == Needs::Role { scene.admin.person() } else { &scene.user };
            let who = scene.server.issue(owner).await;
            let sql = loss.sql.replace(":user", &who.user_id).replace(":session", &who.session_id);
            let what = format!("{name}, {}", loss.what);
            let (answer, unchanged) = scene.while_it_waits(&what, &[&who.user_id], &sql, change(&scene, &who)).await;
            if (answer.0, answer.1.as_str()) != loss.answer || !unchanged {
                failures.push(format!("{what}: {answer:?}, nothing changed: {unchanged}"));
            }
            scene.restore();
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// And whoever is acted upon: an account that is deleted meanwhile gets no role and no name back.
#[tokio::test]
async fn whoever_is_acted_upon_is_judged_under_the_lock_too() {
    let scene = Scene::start().await;
    let gone = |id: &str| {
        format!("UPDATE users SET deleted_at = 1, disabled_at = 1, name = NULL, roles = 'user' WHERE id = '{id}'")
    };
    for name in ["PUT roles", "POST enable", "POST disable", "DELETE all sessions of"] {
        let (_, _, change) = CHANGES.iter().find(|(known, ..)| *known == name).expect("a change");
        let who = scene.server.issue(scene.admin.person()).await;
        let sql = gone(&scene.user.user_id);
        let (answer, unchanged) = scene.while_it_waits(name, &[&scene.user.user_id], &sql, change(&scene, &who)).await;
        assert_eq!((answer.0, answer.1.as_str(), unchanged), (404, "not-found", true), "{name}");
        scene.restore();
    }
}

/// Of two people the one with the lower id is locked first, whoever of them acts: who waits for that one holds nothing
/// that the other way round would wait for.
#[tokio::test]
async fn two_people_are_locked_in_the_order_of_their_ids() {
    let scene = Scene::start().await;
    let (low, alert) = (scene.admin.person(), scene.alert.clone());
    let second = scene.server.admin().await;
    let high = scene.server.issue(second.person()).await;
    let victim = scene.server.issue(low).await;
    scene.database().execute(&format!("UPDATE alerts SET user_id = '{}'", low.user_id));
    assert!(low.user_id < high.user_id, "ids begin with the time");
    let newcomer = scene.server.anonymous();
    newcomer.browser().set_cookie(COOKIE, &scene.server.issue(low).await.cookie());
    let attempts: Vec<(&str, Doing<'_>)> = vec![
        ("PUT roles", told(put_roles(&high, &low.user_id, &["admin"]))),
        ("POST enable", told(upon(&high, &low.user_id, "enable"))),
        ("POST acknowledge", told(async { high.post(&format!("/admin/alerts/{alert}/acknowledge")).await })),
        ("DELETE a session of", told(async { high.delete(&format!("/admin/sessions/{}", victim.session_id)).await })),
        ("a sign-in over another's session", told(async { newcomer.login(&second.person().email, PASSWORD).await })),
        ("POST /admin/sessions/revoke", told(revoke(&high, json!({ "user": low.user_id })))),
        (
            "DELETE all sessions of",
            told(async { high.delete(&format!("/admin/users/{}/sessions", low.user_id)).await }),
        ),
    ];
    for (what, attempt) in attempts {
        let mut window = scene.hold(&[&low.user_id]);
        let meanwhile = async {
            scene.until_it_waits(what).await;
            let free = format!("SELECT 1 FROM users WHERE id = '{}' FOR UPDATE NOWAIT", high.user_id);
            let free = window.batch_execute(&free);
            window.batch_execute("ROLLBACK").expect("the locks are free");
            free
        };
        let (answer, free) = tokio::join!(attempt, meanwhile);
        assert!(answer.0 < 300 && free.is_ok(), "{what}: {answer:?}, {free:?}");
    }
}

/// What no session stands behind: a link, a link that is made, an address that somebody else registers.
#[tokio::test]
async fn links_and_new_accounts_are_judged_under_the_lock_too() {
    let scene = Scene::start().await;
    let (user, stranger) = (&scene.user.user_id, scene.server.anonymous());
    let losses = [
        ("used", "UPDATE password_resets SET used_at = 1".to_owned()),
        ("void", "DELETE FROM password_resets".to_owned()),
        ("over", "UPDATE password_resets SET expires_at = 1".to_owned()),
        ("disabled", format!("UPDATE users SET disabled_at = 1 WHERE id = '{user}'")),
    ];
    for (what, loss) in losses {
        let token = scene.server.reset_token(&scene.user.email);
        let body = json!({ "token": token, "new_password": "another four plain words" });
        let reset = told(async { stranger.post_json("/reset", &body).await });
        let (answer, unchanged) = scene.while_it_waits(what, &[user], &loss, reset).await;
        assert_eq!((answer.0, unchanged), (422, true), "a link that is {what}: {answer:?}");
        scene.restore();
    }
    let (settings, email) = (scene.server.settings.clone(), scene.user.email.clone());
    let link = Box::pin(async move {
        let made = tokio::task::spawn_blocking(move || command_line(&settings, &["user", "reset", &email], "")).await;
        let made = made.expect("a command");
        (u16::from(made.status.success()), String::from_utf8_lossy(&made.stderr).into_owned())
    });
    let loss = format!("UPDATE users SET deleted_at = 1, disabled_at = 1 WHERE id = '{user}'");
    let (answer, unchanged) = scene.while_it_waits("user reset", &[user], &loss, link).await;
    assert_eq!((answer.0, unchanged), (0, true), "a link for an account that is gone: {answer:?}");
    scene.restore();
    // The lock on an address is its place in the index.
    let email = new_email();
    let taken = format!(
        "INSERT INTO users (id, email, email_key, password_hash, roles, created_at) \
         VALUES ('{}', '{email}', '{email}', '', 'user', 1)",
        uuid::Uuid::from_u128(1)
    );
    let mut window = scene.hold(&[]);
    window.batch_execute(&taken).expect("somebody registers");
    let meanwhile = async {
        scene.until_it_waits("POST /register").await;
        window.batch_execute("COMMIT").expect("they are registered");
    };
    let (answer, ()) = tokio::join!(stranger.register(&email), meanwhile);
    answer.assert_problem(409, "email-taken");
}

/// The hour of a link is judged when its use has the lock: it may have waited for the hash, too.
#[tokio::test]
async fn a_link_that_waits_for_the_lock_until_its_hour_is_over_sets_no_password() {
    let scene = Scene::start().await;
    let body = json!({ "token": scene.server.reset_token(&scene.user.email), "new_password": "a wholly new password" });
    let mut window = scene.hold(&[&scene.user.user_id]);
    let meanwhile = async {
        scene.until_it_waits("the use of a link").await;
        scene.server.clock.advance(Duration::from_secs(3_601));
        window.batch_execute("COMMIT").expect("the lock is free");
    };
    let visitor = scene.server.anonymous();
    let (answer, ()) = tokio::join!(visitor.post_json("/reset", &body), meanwhile);
    answer.assert_problem(422, "invalid-body");
    visitor.login(&scene.user.email, PASSWORD).await.assert_status(200);
}
