//! Tell streams: looks up the watched sessions in the ledger.
//!
//! Owns the one task that asks the ledger for all streams of a node: about hinted sessions at once; about sessions
//! whose deadline may have passed, at that time; about all sessions every ten seconds, because a hint may be lost, and
//! as often as is cheap while no other node can be heard. Only the ledger or the clock may end a stream: while the
//! ledger does not answer, no notice is sent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::session::ledger_lag;
use crate::domain::{EndReason, SessionId, Timestamp, UserId};
use crate::ledger::LedgerError;
use crate::ledger::stream_queries::{self, List, StreamedSession};
use crate::service::core::log_on_change::LogOnChange;
use crate::service::core::unavailable::Unavailable;
use crate::service::events::hub::Hub;
use crate::service::jobs::Jobs;

/// How often all sessions are looked up: the longest delay of a change whose hint was lost.
const EVERYTHING_EVERY: Duration = Duration::from_secs(10);
/// The same while no other node can be heard, for each query that it takes: few sessions are looked up every second.
const DEAF_FOR_EACH: Duration = Duration::from_millis(250);
const DEAF_AT_LEAST: Duration = Duration::from_secs(1);
/// How often deadlines are checked.
const DEADLINES_EVERY: Duration = Duration::from_millis(250);
/// How soon a ledger that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// The reason of a passed deadline, which is no end in the ledger.
const EXPIRED: &str = "expired";

/// The periodic lookup of all sessions.
#[derive(Default)]
struct Rounds {
    left: Vec<SessionId>,
    /// When the next round begins, on the stopwatch.
    next: Duration,
    /// The ledger is not asked again before this time.
    pause: Duration,
    log_on_change: LogOnChange,
}

/// The ledger's answers about the sessions of streams.
struct StreamAnswers {
    states: Vec<StreamedSession>,
    lists: HashMap<UserId, List>,
}

impl Jobs {
    /// Sends notices to the streams of this node until it stops.
    pub(in crate::service) async fn tell_streams(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut rounds = Rounds::default();
        while !*stop.borrow_and_update() {
            tokio::select! {
                () = self.events.hub.hinted() => {}
                () = tokio::time::sleep(DEADLINES_EVERY) => {}
                _ = stop.changed() => return,
            }
            while self.look_once(&mut rounds).await {}
        }
    }

    /// Sends at most one query to the ledger; returns whether there may be more to ask.
    async fn look_once(&self, rounds: &mut Rounds) -> bool {
        let (hub, now) = (&self.events.hub, self.core.clock().now());
        let [over, resting] = hub.registry.lock().take_due(now, now.plus(AGAIN), stream_queries::MOST);
        over.iter().for_each(|session| expire(hub, *session));
        if self.core.clock().monotonic() < rounds.pause {
            return false;
        }
        let wanted = self.wanted(rounds, resting);
        if wanted.is_empty() {
            return !over.is_empty();
        }
        let looked = self.look_at(wanted).await;
        if looked.is_err() {
            rounds.pause = self.core.clock().monotonic().saturating_add(AGAIN);
            hub.hint_missed();
        }
        let goes_on = looked.is_ok();
        rounds.log_on_change.about("checking the sessions of open event streams", looked.err());
        goes_on
    }

    /// The sessions to look up next: first those that are due, then the hinted ones, then the next ones of the round.
    fn wanted(&self, rounds: &mut Rounds, resting: Vec<SessionId>) -> Vec<SessionId> {
        let (hub, elapsed) = (&self.events.hub, self.core.clock().monotonic());
        let hints = hub.take_hints(stream_queries::MOST.saturating_sub(resting.len()));
        if hints.all || elapsed >= rounds.next {
            rounds.left = hub.registry.lock().all();
            rounds.next = elapsed.saturating_add(round(rounds.left.len(), hub.is_deaf()));
        }
        let mut wanted: HashSet<_> = resting.into_iter().chain(hints.sessions).collect();
        let room = stream_queries::MOST.saturating_sub(wanted.len()).min(rounds.left.len());
        wanted.extend(rounds.left.drain(..room));
        wanted.into_iter().collect()
    }

    async fn look_at(&self, wanted: Vec<SessionId>) -> Result<(), Unavailable> {
        let StreamAnswers { states, lists } = self.find(wanted.clone()).await?;
        let hub = &self.events.hub;
        let known: HashSet<_> = states.iter().map(|state| state.id).collect();
        for session in wanted.into_iter().filter(|session| !known.contains(session)) {
            // Rows stay as long as a session could last, so this is another ledger than the one that issued the
            // session.
            hub.registry.lock().end(session, &EndReason::LedgerRestored.name().into());
        }
        let mut resting = Vec::new();
        for state in states {
            match &state.ended {
                Some(reason) => drop(hub.registry.lock().end(state.id, &Arc::from(reason.as_str()))),
                None if hub.registry.lock().watches(state.id) && !self.is_awake(&state) => resting.push(state.id),
                None => {}
            }
        }
        if !resting.is_empty() {
            self.judge_resting(resting).await?;
        }
        let mut registry = hub.registry.lock();
        lists.into_iter().for_each(|(user, list)| registry.compare(user, list));
        Ok(())
    }

    async fn find(&self, wanted: Vec<SessionId>) -> Result<StreamAnswers, LedgerError> {
        let hub = Arc::clone(&self.events.hub);
        let found = self.core.ledger.read(move |db| {
            let states = stream_queries::find(db, &wanted)?;
            let owners: HashSet<_> = states.iter().map(|state| state.user).collect();
            let owners: Vec<_> = owners.into_iter().filter(|user| hub.registry.lock().knows(*user)).collect();
            Ok(StreamAnswers { lists: stream_queries::lists(db, &owners)?, states })
        });
        found.await
    }

    /// Whether the session was used so recently, by the ledger and this node, that only the next deadline matters.
    fn is_awake(&self, state: &StreamedSession) -> bool {
        let mut deadlines = state.deadlines;
        deadlines.last_seen = deadlines.last_seen.max(self.noted(state.id));
        let now = self.core.clock().now();
        let deadlines = deadlines.as_of(now);
        let is_awake = deadlines.hold(now);
        if is_awake {
            self.events.hub.registry.lock().look_again(state.id, deadlines.idle_expires());
        }
        is_awake
    }

    fn noted(&self, session: SessionId) -> Timestamp {
        self.core.last_seen.noted(session).unwrap_or(session.made_at())
    }

    /// Ends the sessions that were idle too long, by the rules of a check: a record knows the last use, the ledger may
    /// lag.
    async fn judge_resting(&self, resting: Vec<SessionId>) -> Result<(), Unavailable> {
        // Before the rows are read: a use moves from the last-seen buffer into the row.
        let noted: HashMap<_, _> = resting.iter().map(|session| (*session, self.noted(*session))).collect();
        let states = self.core.ledger.read(move |db| stream_queries::find(db, &resting)).await?;
        let states: Vec<_> = states.into_iter().filter(|state| state.ended.is_none()).collect();
        let hashes: Vec<_> = states.iter().map(|state| state.token_hash).collect();
        let now = self.core.clock().now();
        let recorded = match &self.core.live {
            Some(live) => live.last_uses(&hashes, now).await,
            None => Vec::new(),
        };
        for (state, recorded) in states.iter().zip(recorded.into_iter().chain(std::iter::repeat(None))) {
            let mut deadlines = state.deadlines;
            let uses = [noted.get(&state.id).copied(), recorded, Some(self.noted(state.id))];
            deadlines.last_seen = uses.into_iter().flatten().fold(deadlines.last_seen, Timestamp::max);
            let is_exact = self.core.live.is_none() || recorded.is_some() || deadlines.last_seen <= state.id.made_at();
            let deadlines = deadlines.as_of(now);
            let lag = if is_exact { Duration::ZERO } else { ledger_lag(deadlines.idle) };
            let ends = deadlines.idle_expires().plus(lag);
            if ends <= now {
                expire(&self.events.hub, state.id);
            } else {
                self.events.hub.registry.lock().look_again(state.id, ends);
            }
        }
        Ok(())
    }
}

/// How long a round over this many sessions lasts.
fn round(sessions: usize, is_deaf: bool) -> Duration {
    let questions = u32::try_from(sessions.div_ceil(stream_queries::MOST)).unwrap_or(u32::MAX);
    let deaf = DEAF_FOR_EACH.saturating_mul(questions).clamp(DEAF_AT_LEAST, EVERYTHING_EVERY);
    if is_deaf { deaf } else { EVERYTHING_EVERY }
}

/// The deadline has passed. The ledger records no such end, so the streams that show the list are notified here.
fn expire(hub: &Hub, session: SessionId) {
    let mut registry = hub.registry.lock();
    if let Some(user) = registry.end(session, &EXPIRED.into()) {
        registry.sessions_changed(user);
    }
}
