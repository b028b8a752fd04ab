//! What is told, in which order, and that nothing is lost however long the receiver is away.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sessiond::domain::{Clock as _, MovableClock, SessionId, UserId};
use sessiond::service::AlertOpened;

use crate::support::client::{Admin, PASSWORD, SignedIn};
use crate::support::issue::issue_at;
use crate::support::node::Node;
use crate::support::process::command_line_ok;
use crate::support::server::{Backend, Stores};
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};
use crate::webhook::receiver::{Answer, OTHER, Receiver, SECRET, assert_ordered};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// Stores, a receiver, and the clock that all share.
pub struct World {
    pub clock: Arc<MovableClock>,
    pub receiver: Receiver,
    pub settings: Settings,
    pub stores: Stores,
}

impl World {
    pub async fn new(backend: Backend) -> Self {
        let clock = Arc::new(MovableClock::default());
        let (stores, receiver) = (Stores::new(backend), Receiver::start(&clock).await);
        let settings = receiver.settings(&stores.settings());
        Self { clock, receiver, settings, stores }
    }

    pub async fn node(&self) -> Node {
        Node::start(&self.settings, &self.clock).await
    }

    /// One more session of this person, without a password.
    pub async fn issue(&self, node: &Node, person: &SignedIn) -> SignedIn {
        issue_at(node.app(), &self.settings, person, &node.url()).await
    }

    pub fn waiting(&self) -> usize {
        self.stores.database.count("webhook_outbox", "done_at IS NULL")
    }

    pub fn advance(&self, by: Duration) {
        self.receiver.expect_jump(by);
        self.clock.advance(by);
    }

    /// Time passes in steps, so that everybody sees each of them.
    pub async fn pass(&self, step: Duration, happened: impl AsyncFn() -> bool) {
        let watch = stopwatch();
        while !happened().await {
            assert!(watch() < PATIENCE, "in vain");
            self.advance(step);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

macro_rules! on_each {
    ($(async fn $name:ident($world:ident: World) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn body($world: World) $body

            #[tokio::test]
            async fn embedded() {
                body(World::new(Backend::Embedded).await).await;
            }

            #[cfg(feature = "postgres")]
            #[tokio::test]
            async fn production() {
                body(World::new(Backend::Production).await).await;
            }
        }
    )+};
}

on_each! {
    async fn each_event_is_told_in_its_order_and_without_a_secret(world: World) {
        let node = world.node().await;
        let admin = Admin::create(&world.settings, &node.url()).await;
        let user = node.anonymous().sign_up().await;
        let other = world.issue(&node, &user).await;
        user.end_session(&other.session_id).await.assert_status(204);
        let third = world.issue(&node, &user).await;
        third.sign_out().await.assert_status(204);
        admin.disable(&user.user_id).await.assert_status(204);
        admin.disable(&user.user_id).await.assert_status(204);
        let taken = world.receiver.has_taken(8).await;
        let of_user: Vec<_> = taken.iter().filter(|one| one.text("user_id") == user.user_id).collect();
        let told: Vec<_> = of_user.iter().map(|one| {
            let text = |name: &str| one.json["data"][name].as_str().unwrap_or("-").to_owned();
            (one.kind(), text("session_id"), text("reason"), text("by"))
        }).collect();
        let row = |kind, session: &SignedIn, reason: &str, by: &str| {
            (kind, session.session_id.clone(), reason.to_owned(), by.to_owned())
        };
        assert_eq!(told, [
            row("session.created", &user, "-", "-"),
            row("session.created", &other, "-", "-"),
            row("session.revoked", &other, "signed_out_elsewhere", "owner"),
            row("session.created", &third, "-", "-"),
            row("session.revoked", &third, "signed_out", "owner"),
            ("user.disabled", "-".to_owned(), "-".to_owned(), "administrator".to_owned()),
            row("session.revoked", &user, "disabled", "administrator"),
        ]);
        for message in &taken {
            assert!(message.json["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{}", message.body);
            for secret in [&user.email, &user.token(), &user.cookie(), &admin.person().token(), PASSWORD] {
                assert!(!message.body.contains(secret), "{}", message.body);
            }
        }
        assert_eq!(of_user[0].json["data"]["remember"], false);
        until("all of it is written down", PATIENCE, async || world.waiting() == 0).await;
    }

    async fn a_receiver_that_was_down_misses_nothing(world: World) {
        let node = world.node().await;
        let people = [node.anonymous().sign_up().await, node.anonymous().sign_up().await];
        world.receiver.has_taken(2).await;
        world.receiver.stop().await;
        let watch = stopwatch();
        for round in 0..20 {
            let session = world.issue(&node, &people[round % 2]).await;
            if round % 3 > 0 {
                session.sign_out().await.assert_status(204);
            }
        }
        println!("20 sign-ins and 13 sign-outs while the receiver is down: {:?}", watch());
        assert_eq!(world.waiting(), 33);
        let tried = async || world.stores.database.count("webhook_outbox", "attempts > 2") > 0;
        world.pass(Duration::from_secs(300), tried).await;
        // Longer than any message may still be signed as of when it was first tried.
        world.advance(Duration::from_secs(7_200));
        world.receiver.start_again().await;
        let watch = stopwatch();
        world.pass(Duration::from_secs(2), async || world.receiver.taken().len() >= 35).await;
        println!("33 messages after the receiver came back: {:?}", watch());
        assert_ordered(&world.receiver.has_taken(35).await);
        until("all of it is written down", PATIENCE, async || world.waiting() == 0).await;
    }

    async fn what_nobody_takes_for_days_is_given_up_and_what_is_old_is_deleted(world: World) {
        let node = world.node().await;
        let (lucky, user) = (node.anonymous().sign_up().await, node.anonymous().sign_up().await);
        world.receiver.has_taken(2).await;
        world.receiver.answer(Answer::RefuseWith(user.user_id.clone()));
        let (first, _second) = (world.issue(&node, &user).await, world.issue(&node, &user).await);
        let given_up = async || world.stores.database.count("webhook_outbox", "outcome = 'given_up'") == 2;
        world.pass(Duration::from_secs(5 * 3_600), given_up).await;
        let days = (world.clock.now().ms() - MovableClock::default().now().ms()) / 86_400_000;
        assert!((3..=8).contains(&days), "given up after {days} days");
        let said: serde_json::Value =
            serde_json::from_str(&command_line_ok(&world.settings, &["webhook", "pending", "--json"], "")).expect("JSON");
        assert_eq!((&said["pending"], &said["given_up"]), (&json!(0), &json!(2)), "{said}");
        // What comes after goes out all the same.
        world.receiver.answer(Answer::Take);
        let (third, _) = (world.issue(&node, &user).await, world.issue(&node, &lucky).await);
        let taken = world.receiver.has_taken(4).await;
        assert!(taken.iter().any(|one| one.text("session_id") == third.session_id));
        assert!(!taken.iter().any(|one| one.text("session_id") == first.session_id));
        until("all of it is written down", PATIENCE, async || world.waiting() == 0).await;
        let rows = |what: &str| world.stores.database.count("webhook_outbox", what);
        world.advance(Duration::from_secs(4 * 86_400));
        until("delivered ones are deleted", PATIENCE, async || rows("outcome = 'delivered'") == 0).await;
        assert_eq!(rows("outcome = 'given_up'"), 2);
        world.advance(Duration::from_secs(31 * 86_400));
        until("all are deleted", PATIENCE, async || rows("1 = 1") == 0).await;
    }

    // A message that failed while the database's clock was ahead waits for a moment that is yet to come.
    async fn what_a_wrong_clock_has_put_off_is_told_when_it_is_right_again(world: World) {
        let (node, ahead) = (world.node().await, Duration::from_secs(20 * 86_400));
        let user = node.anonymous().sign_up().await;
        world.receiver.has_taken(1).await;
        world.advance(ahead);
        world.receiver.answer(Answer::RefuseWith(user.user_id.clone()));
        let session = world.issue(&node, &user).await;
        let tried = async || world.stores.database.count("webhook_outbox", "done_at IS NULL AND last_error IS NOT NULL") > 0;
        until("it is tried", PATIENCE, tried).await;
        world.clock.rewind(ahead);
        world.receiver.answer(Answer::Take);
        world.pass(Duration::from_secs(60), async || world.receiver.taken().len() >= 2).await;
        assert_eq!(world.receiver.has_taken(2).await[1].text("session_id"), session.session_id);
        until("all of it is written down", PATIENCE, async || world.waiting() == 0).await;
    }

    async fn an_alert_is_told_where_the_sessions_are(world: World) {
        let node = world.node().await;
        let user = node.anonymous().sign_up().await;
        let app = node.app().clone();
        let (owner, session) = (UserId::parse(&user.user_id).expect("id"), SessionId::parse(&user.session_id).expect("id"));
        let alert = app.core.new_id();
        node.app().core.ledger().write(move |db| {
            let signals = [json!({"rule": "new_country", "weight": 40, "reason": "Never seen in NO before."})];
            let opened = AlertOpened {
                id: alert, user: owner, risk: 70, action: "alert", signals: &signals, sessions: &[session],
            };
            app.events.tell_alert_opened(db, &opened)
        }).await.expect("written");
        let taken = world.receiver.has_taken(2).await;
        assert_eq!(taken[1].json["type"], "alert.opened");
        assert_eq!(taken[1].json["data"], json!({
            "alert_id": alert, "user_id": user.user_id, "risk": 70, "action": "alert", "session_ids": [user.session_id],
            "signals": [{"rule": "new_country", "weight": 40, "reason": "Never seen in NO before."}],
        }));
    }
}

#[tokio::test]
async fn without_a_webhook_nothing_is_written_for_one() {
    let mut world = World::new(Backend::Embedded).await;
    world.settings = world.stores.settings();
    let node = world.node().await;
    let admin = Admin::create(&world.settings, &node.url()).await;
    let user = node.anonymous().sign_up().await;
    admin.disable(&user.user_id).await.assert_status(204);
    assert_eq!(world.stores.database.count("webhook_outbox", "1 = 1"), 0);
}

#[tokio::test]
async fn the_command_line_leaves_it_to_the_nodes_to_tell() {
    let world = World::new(Backend::Embedded).await;
    let node = world.node().await;
    let user = node.anonymous().sign_up().await;
    world.receiver.has_taken(1).await;
    command_line_ok(&world.settings, &["user", "disable", &user.email], "");
    let taken = world.receiver.has_taken(3).await;
    assert_eq!((taken[1].kind(), taken[1].text("by")), ("user.disabled", "command_line"));
    assert_eq!((taken[2].kind(), taken[2].text("by")), ("session.revoked", "command_line"));
}

/// The receiver knows the old secret, then both, then the new one; nothing is refused on the way.
#[tokio::test]
async fn one_secret_follows_another_without_a_gap() {
    let mut world = World::new(Backend::Embedded).await;
    let both = format!("{OTHER},{SECRET}");
    let mut count = 0;
    for (signs, knows) in [(SECRET, vec![SECRET]), (&both, vec![SECRET]), (&both, vec![OTHER]), (OTHER, vec![OTHER])] {
        world.settings = world.settings.with("SESSIOND_WEBHOOK_SECRET", signs);
        world.receiver.know(&knows);
        let node = world.node().await;
        node.anonymous().sign_up().await;
        count += 1;
        world.receiver.has_taken(count).await;
    }
    // And a node that was forgotten is refused, until it is told.
    world.receiver.know(&[SECRET]);
    let node = world.node().await;
    node.anonymous().sign_up().await;
    until("it is refused", PATIENCE, async || !world.receiver.faults().is_empty()).await;
    drop(world.receiver.faults());
    world.receiver.know(&[OTHER]);
    until("it arrives", PATIENCE, async || {
        drop(world.receiver.faults());
        world.receiver.taken().len() == count + 1
    })
    .await;
}
