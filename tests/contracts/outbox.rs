//! The outbox's contract, on SQLite and on PostgreSQL: each message is somebody's at a time, and each ordering key
//! keeps its order.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use sessiond::domain::webhook::Notice;
use sessiond::domain::{SessionId, SystemRandom, Timestamp};
use sessiond::ledger::Ledger;
use sessiond::ledger::outbox::{self, Due, Message, Outcome};
use uuid::Uuid;

use super::world::on_each_database;
use crate::contracts::ledger::target;
use crate::support::database::Database;

const NOW: Timestamp = Timestamp::from_ms(1_795_331_082_007);
const CLAIM: Duration = Duration::from_secs(45);

struct Fixture {
    ledger: Ledger,
    database: Database,
}

fn id() -> Uuid {
    SessionId::generate(NOW, &SystemRandom).uuid()
}

impl Fixture {
    async fn new(database: Database) -> Self {
        let ledger = Ledger::open(target(&database)).expect("a pool");
        ledger.migrate().await.expect("migrations");
        Self { ledger, database }
    }

    async fn add(&self, key: &str, at: Timestamp) -> String {
        let (id, ordering_key) = (id(), key.to_owned());
        let message = Message { id, ordering_key, notice: Notice::SessionCreated, body: format!("{{\"{id}\":1}}"), at };
        self.ledger.write(move |db| outbox::add(db, &message)).await.expect("added");
        id.to_string()
    }

    async fn claim(&self, name: Uuid, now: Timestamp, limit: i64) -> Vec<Due> {
        let claim = move |db: &mut _| outbox::claim(db, name, now, now.plus(CLAIM), limit);
        self.ledger.write_aside(claim).await.expect("claimed")
    }

    async fn ids(&self, name: Uuid, now: Timestamp) -> Vec<String> {
        self.claim(name, now, 100).await.into_iter().map(|due| due.id).collect()
    }

    async fn settle(&self, name: Uuid, id: &str, outcome: Outcome, now: Timestamp) {
        let id = id.to_owned();
        self.ledger.write_aside(move |db| outbox::settle(db, name, &id, &outcome, now)).await.expect("settled");
    }

    fn rows(&self, condition: &str) -> usize {
        self.database.count("webhook_outbox", condition)
    }
}

on_each_database! {
    async fn the_messages_of_one_key_are_claimed_one_after_the_other(fixture: Fixture) {
        // The clock of whoever adds the second is behind: what has been committed comes first all the same.
        let first = fixture.add("a", NOW).await;
        let second = fixture.add("a", NOW.minus(Duration::from_secs(60))).await;
        let other = fixture.add("b", NOW).await;
        let name = id();
        assert_eq!(fixture.ids(name, NOW).await.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([first.clone(), other]));
        assert!(fixture.ids(id(), NOW).await.is_empty());
        let later = NOW.plus(Duration::from_secs(9));
        fixture.settle(name, &first, Outcome::Again(later, "why".to_owned()), NOW).await;
        assert!(fixture.ids(name, later.minus(Duration::from_millis(1))).await.is_empty(), "not before its time");
        assert_eq!(fixture.ids(name, later).await, [first.as_str()]);
        assert_eq!(fixture.rows("attempts = 2 AND last_error = 'why'"), 1);
        fixture.settle(name, &first, Outcome::Delivered, later).await;
        assert_eq!(fixture.ids(name, later).await, [second.as_str()]);
        fixture.settle(name, &second, Outcome::GivenUp("why".to_owned()), later).await;
        let third = fixture.add("a", NOW).await;
        assert_eq!(fixture.ids(name, later).await, [third]);
    }

    async fn a_claim_comes_free_by_itself_and_its_late_owner_says_only_that_it_was_delivered(fixture: Fixture) {
        let message = fixture.add("a", NOW).await;
        let (dead, next) = (id(), id());
        assert_eq!(fixture.ids(dead, NOW).await, [message.as_str()]);
        let free = NOW.plus(CLAIM);
        assert!(fixture.ids(next, free.minus(Duration::from_millis(1))).await.is_empty());
        assert_eq!(fixture.ids(next, free).await, [message.as_str()]);
        for late in [Outcome::Again(NOW, String::new()), Outcome::GivenUp(String::new())] {
            fixture.settle(dead, &message, late, free).await;
            assert_eq!(fixture.rows(&format!("done_at IS NULL AND claim = '{next}'")), 1);
        }
        fixture.ledger.write_aside(move |db| outbox::release(db, dead, NOW)).await.expect("released");
        assert!(fixture.ids(id(), free).await.is_empty(), "somebody else's claim was given back");
        fixture.settle(dead, &message, Outcome::Delivered, free).await;
        fixture.settle(next, &message, Outcome::Again(free, String::new()), free).await;
        fixture.settle(next, &message, Outcome::GivenUp(String::new()), free).await;
        assert_eq!(fixture.rows("outcome = 'delivered'"), 1);
    }

    async fn those_who_claim_at_once_get_different_messages(fixture: Fixture) {
        for key in 0..40 {
            fixture.add(&key.to_string(), NOW).await;
            fixture.add(&key.to_string(), NOW).await;
        }
        let claimed = join_all((0..16).map(|_| fixture.claim(id(), NOW, 5))).await;
        let ids: Vec<_> = claimed.into_iter().flatten().map(|due| due.id).collect();
        let different: BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), different.len(), "one message was given to two");
        assert!(ids.len() <= 40, "two of one key: {}", ids.len());
        println!("{} of 40 claimed by 16 at once", ids.len());
        assert_eq!(ids.len() + fixture.ids(id(), NOW).await.len(), 40);
    }

    async fn what_waits_is_hastened_and_what_is_old_goes(fixture: Fixture) {
        let (name, day) = (id(), Duration::from_secs(86_400));
        let messages = [fixture.add("a", NOW).await, fixture.add("b", NOW).await, fixture.add("c", NOW).await];
        assert_eq!(fixture.ids(name, NOW).await.len(), 3);
        fixture.settle(name, &messages[0], Outcome::Again(NOW.plus(day), "x".to_owned()), NOW).await;
        fixture.ledger.write_aside(|db| outbox::hasten(db, NOW)).await.expect("hastened");
        assert_eq!(fixture.ids(id(), NOW).await, [messages[0].as_str()], "what is claimed is left alone");
        fixture.settle(name, &messages[1], Outcome::Delivered, NOW).await;
        fixture.ledger.write_aside(move |db| outbox::release(db, name, NOW)).await.expect("released");
        let backlog = fixture.ledger.read(outbox::backlog).await.expect("read");
        assert_eq!((backlog.waiting, backlog.since, backlog.given_up), (2, Some(NOW), 0));
        let give_up = |before| move |db: &mut _| outbox::give_up(db, before, NOW.plus(day), 10);
        assert_eq!(fixture.ledger.write_aside(give_up(NOW)).await.expect("none"), 0);
        // One is claimed: whoever tells it may still succeed.
        assert_eq!(fixture.ledger.write_aside(give_up(NOW.plus(day))).await.expect("one"), 1);
        assert_eq!(fixture.rows(&format!("outcome = 'given_up' AND id = '{}'", messages[2])), 1);
        let purge = |delivered, given_up| move |db: &mut _| outbox::purge(db, delivered, given_up, 10);
        assert_eq!(fixture.ledger.write_aside(purge(NOW, NOW.plus(day))).await.expect("none"), 0);
        assert_eq!(fixture.ledger.write_aside(purge(NOW.plus(day), NOW)).await.expect("delivered"), 1);
        assert_eq!(fixture.ledger.write_aside(purge(NOW, NOW.plus(2 * day))).await.expect("given up"), 1);
        assert_eq!(fixture.rows("1 = 1"), 1, "what waits is not deleted");
    }
}
