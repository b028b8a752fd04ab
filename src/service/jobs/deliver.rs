//! Deliver: sends waiting messages to the webhook's receiver.
//!
//! Owns the task. It claims, sends, and records the result, so that several nodes share the work and the messages of a
//! dead node become free. Must never record as delivered what the receiver did not accept, and never let a receiver
//! delay anything but this task.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::fault_point;
use crate::ledger::outbox::{self, Due, Outcome};
use crate::ledger::{Db, Ledger, LedgerError};
use crate::service::core::log_on_change::LogOnChange;
use crate::service::core::webhook_client::WebhookClient;
use crate::service::jobs::Jobs;
use crate::service::jobs::circuit_breaker::{self, CircuitBreaker};
use crate::webhook::ANSWER_WAIT;

/// Poll interval for messages from other nodes or the command line, and for retries.
const EVERY: Duration = Duration::from_secs(1);
/// How long a claim holds: longer than an attempt and the write after it, with clocks that differ.
const CLAIM: Duration = ANSWER_WAIT.saturating_add(Duration::from_secs(30));
/// How long messages in flight may still take when the node stops.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a message is retried.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 86_400);
/// How long the receiver must have failed before messages that were never tried are given up, too.
const SURELY_DOWN: Duration = Duration::from_secs(3_600);
/// How long delivered and given-up messages are kept for inspection.
const KEEP_DELIVERED: Duration = Duration::from_secs(3 * 86_400);
const KEEP_GIVEN_UP: Duration = Duration::from_secs(30 * 86_400);
/// How often the table is cleaned up; rows in one transaction, and transactions in one run.
const TIDY_EVERY: Duration = Duration::from_secs(60);
const BATCH: i64 = 500;
const BATCHES: usize = 20;
/// A backlog that is logged; it is logged again when it has doubled.
const BACKLOG: i64 = 100;
/// The number of attempts after which a line warns the operator.
const TROUBLE: i64 = 3;

/// The dispatcher: one node's share of the work.
struct Courier<'a> {
    room: &'a Jobs,
    webhook_client: &'a WebhookClient,
    name: Uuid,
    breaker: CircuitBreaker,
    tidied: Option<Timestamp>,
    backlog_said: i64,
}

impl Jobs {
    /// Sends messages to the receiver until the node stops.
    pub(in crate::service) async fn deliver(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(webhook_client) = self.core.webhook_client.clone() else { return };
        let name = self.core.new_id();
        let (breaker, tidied) = (CircuitBreaker::default(), None);
        let mut courier =
            Courier { room: &self, webhook_client: &webhook_client, name, breaker, tidied, backlog_said: 0 };
        let mut log_on_change = LogOnChange::default();
        while !*stop.borrow_and_update() {
            let round = tokio::select! {
                round = courier.round() => Some(round),
                _ = stop.changed() => None,
            };
            match round {
                Some(Ok(true)) => continue,
                Some(done) => log_on_change.about("reading webhook messages", done.err()),
                None => break,
            }
            tokio::select! {
                () = webhook_client.until_called(EVERY) => {}
                _ = stop.changed() => {}
            }
        }
        // Messages in flight: another node, or the next start, sends them again.
        let given_back = self.core.ledger.write_aside({
            let now = self.core.clock().now();
            move |db| outbox::release(db, name, now)
        });
        if !matches!(timeout(LAST_WORDS, given_back).await, Ok(Ok(()))) {
            log::info!("webhook messages in flight are sent again in {} s", CLAIM.as_secs());
        }
    }
}

impl Courier<'_> {
    fn ledger(&self) -> &Ledger {
        &self.room.core.ledger
    }

    fn now(&self) -> Timestamp {
        self.room.core.clock().now()
    }

    /// Claims some messages and sends them. Returns whether there may be more at once.
    async fn round(&mut self) -> Result<bool, LedgerError> {
        self.tidy().await?;
        let now = self.now();
        let room = self.breaker.room(now);
        if room == 0 || !self.ledger().read(move |db| outbox::any_due(db, now)).await? {
            return Ok(false);
        }
        let (name, until) = (self.name, now.plus(CLAIM));
        let claimed = self.ledger().write_aside(move |db| outbox::claim(db, name, now, until, room)).await?;
        fault_point::reach("webhook: claimed");
        let (room, webhook_client) = (self.room, self.webhook_client);
        let sent: FuturesUnordered<_> = claimed.iter().map(|message| attempt(room, webhook_client, message)).collect();
        let mut sent = sent.ready_chunks(claimed.len().max(1));
        while let Some(attempts) = sent.next().await {
            fault_point::reach("webhook: answered");
            self.settle(attempts).await?;
        }
        Ok(!claimed.is_empty())
    }

    async fn settle(&mut self, attempts: Vec<DeliveryAttempt<'_>>) -> Result<(), LedgerError> {
        let (name, now) = (self.name, self.now());
        let outcomes: Vec<_> = attempts.into_iter().map(|attempt| self.judge(attempt, now)).collect();
        let back = outcomes.iter().any(|(_, _, back)| *back);
        self.ledger()
            .write_aside(move |db| {
                if back {
                    outbox::hasten(db, now)?;
                }
                outcomes.iter().try_for_each(|(id, outcome, _)| outbox::settle(db, name, id, outcome, now))
            })
            .await?;
        fault_point::reach("webhook: settled");
        Ok(())
    }

    /// The result of an attempt, and whether it shows that the receiver is back.
    fn judge(&mut self, attempt: DeliveryAttempt<'_>, now: Timestamp) -> (String, Outcome, bool) {
        let DeliveryAttempt { message, failure } = attempt;
        let id = message.id.clone();
        let Some(Failure { why, away }) = failure else {
            let back = self.breaker.delivered();
            if back {
                log::info!("the webhook's receiver accepts messages again");
            }
            return (id, Outcome::Delivered, back);
        };
        let random = self.room.core.random();
        if self.breaker.failed(&id, away, now, random) {
            log::warn!(
                "the webhook's receiver at {} fails, so messages are sent only now and then: {why}",
                self.webhook_client.sender.url()
            );
        } else if message.attempts + 1 == TROUBLE {
            log::warn!("the webhook's receiver has not accepted {} {id} yet: {why}", message.event);
        } else {
            log::debug!("the webhook's receiver has not accepted {} {id}: {why}", message.event);
        }
        if now.since(message.created_at) >= GIVE_UP_AFTER {
            log::error!("gave up sending {} {id} to the webhook's receiver: {why}", message.event);
            return (id, Outcome::GivenUp(why), false);
        }
        let failures = u32::try_from(message.attempts).unwrap_or(u32::MAX);
        let wait = circuit_breaker::next_wait(failures, random).max(away.unwrap_or_default());
        (id, Outcome::Again(now.plus(wait), why), false)
    }

    /// Once a minute: deletes old messages, brings back those that a wrong clock delayed, gives up hopeless ones, and
    /// logs the backlog.
    async fn tidy(&mut self) -> Result<(), LedgerError> {
        let now = self.now();
        if self.tidied.is_some_and(|then| then <= now && now.since(then) < TIDY_EVERY) {
            return Ok(());
        }
        self.tidied = Some(now);
        let room = self.room.clone();
        let purge = move |db: &mut Db| {
            let now = room.fence.purge_moment(db)?;
            outbox::bring_back(db, now.plus(circuit_breaker::LONGEST_WAIT.saturating_mul(2)), now)?;
            outbox::purge(db, now.minus(KEEP_DELIVERED), now.minus(KEEP_GIVEN_UP), BATCH)
        };
        for _ in 0..BATCHES {
            if self.ledger().write_aside(purge.clone()).await? == 0 {
                break;
            }
        }
        if self.breaker.failing_since().is_some_and(|since| now.since(since) >= SURELY_DOWN) {
            self.give_up().await?;
        }
        self.say_backlog().await
    }

    async fn give_up(&self) -> Result<(), LedgerError> {
        let (room, mut total) = (self.room.clone(), 0);
        let give_up = move |db: &mut Db| {
            let now = room.fence.purge_moment(db)?;
            outbox::give_up(db, now.minus(GIVE_UP_AFTER), now, BATCH)
        };
        for _ in 0..BATCHES {
            let some = self.ledger().write_aside(give_up.clone()).await?;
            total += some;
            if some == 0 {
                break;
            }
        }
        if total > 0 {
            log::error!("the webhook's receiver has accepted nothing for days: gave up sending {total} messages");
        }
        Ok(())
    }

    async fn say_backlog(&mut self) -> Result<(), LedgerError> {
        let backlog = self.ledger().read(outbox::backlog).await?;
        if backlog.waiting >= BACKLOG.max(self.backlog_said.saturating_mul(2)) {
            let since = backlog.since.map(Timestamp::to_rfc3339).unwrap_or_default();
            log::warn!("{} messages wait for the webhook's receiver, the oldest since {since}", backlog.waiting);
            self.backlog_said = backlog.waiting;
        } else if backlog.waiting < BACKLOG / 2 && self.backlog_said > 0 {
            log::info!("{} messages wait for the webhook's receiver", backlog.waiting);
            self.backlog_said = 0;
        }
        Ok(())
    }
}

/// A message that was sent, and the failure if there was one.
struct DeliveryAttempt<'a> {
    message: &'a Due,
    failure: Option<Failure>,
}

struct Failure {
    why: String,
    away: Option<Duration>,
}

async fn attempt<'a>(room: &Jobs, webhook_client: &WebhookClient, message: &'a Due) -> DeliveryAttempt<'a> {
    let failed = |why: String, away| DeliveryAttempt { message, failure: Some(Failure { why, away }) };
    let Ok(id) = Uuid::try_parse(&message.id) else { return failed("its id is invalid".to_owned(), None) };
    match webhook_client.sender.send(id, &message.body, room.core.clock().now()).await {
        Ok(answer) if answer.delivered() => DeliveryAttempt { message, failure: None },
        Ok(answer) => failed(format!("it answered {}", answer.in_words()), answer.away()),
        Err(error) => failed(error.to_string(), None),
    }
}
