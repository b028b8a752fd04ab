//! The service itself: what it is made of, and what all its use cases share.
//!
//! Owns [`App`] and the operator's [`Policy`]. Holds no use case: those are in the files named after them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use uuid::Uuid;

use super::Unavailable;
use super::cause::Cause;
use super::checked::Checked;
use super::devices::{DealtWith, OnDeviceChange};
use super::fence::StoreFence;
use super::flights::Flights;
use super::gate::{Gate, Hashing};
use super::health::Probe;
use super::location::Locator;
use super::membership::Membership;
use super::moves::Moves;
use super::notes::Notes;
use super::probing::Probing;
use super::refusals::Refusals;
use super::sightings::Sightings;
use super::streams::hub::Hub;
use super::throttle::Throttle;
use super::webhook::outlet::Outlet;
use super::witness::Witness;
use crate::domain::event::Event;
use crate::domain::{
    Clock, LedgerClock, PasswordRules, Random, RiskPolicy, SessionId, Terms, ThrottleKey, Timestamp, UserId, random,
};
use crate::ledger::{Ledger, audit};
use crate::live::Live;
use crate::webhook::Sender;

/// The rules that the operator sets.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How long a session lasts.
    pub terms: Terms,
    /// How long a session lasts whose owner asked to be remembered.
    pub remember_terms: Terms,
    /// How old a last-seen time gets before it is written again.
    pub last_seen_resolution: Duration,
    /// How many live sessions a user may have.
    pub max_sessions: usize,
    /// What happens at the limit.
    pub at_limit: AtLimit,
    /// How many wrong passwords may come from one address in ten minutes.
    pub sign_in_address_limit: u32,
    /// How old a proof of who somebody is may be, for what wants a recent one.
    pub step_up_age: Duration,
    /// What happens when a session is shown by another device.
    pub on_device_change: OnDeviceChange,
    /// What is strange about sessions, and what is done then.
    pub risk: RiskPolicy,
    /// How many streams of events may be open on this node.
    pub max_event_streams: usize,
    /// Whether anybody may make an account.
    pub registration_open: bool,
    /// Which passwords may be chosen.
    pub password_rules: Arc<PasswordRules>,
    /// How long lines of the audit log are kept.
    pub audit_retention: Duration,
    /// How long the rows of sessions are kept after their absolute deadline.
    pub session_retention: Duration,
    /// How long a node believes a stamp after it last read that it is current.
    pub store_lease: Duration,
}

/// What happens when a user with as many sessions as allowed signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLimit {
    /// The oldest session ends.
    EvictOldest,
    /// The sign-in is refused.
    Refuse,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// The authority.
    pub ledger: Ledger,
    /// The records, if there is a Redis, and the fence that it was opened with.
    pub live: Option<(Live, Arc<StoreFence>)>,
    /// What time it is: the ledger's.
    pub clock: Arc<LedgerClock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// The operator's rules.
    pub policy: Policy,
    /// What names the counters of attempts; the same on all nodes.
    pub throttle_key: ThrottleKey,
    /// Who else is told of what happens, if anybody is.
    pub webhook: Option<Sender>,
    /// Where addresses are, if there is a file that says it.
    pub locator: Option<Locator>,
}

/// The service; cheap to clone. One for each worker thread (see [`App::for_worker`]).
#[derive(Clone)]
pub struct App {
    pub(super) shared: Arc<Shared>,
    pub(super) live: Option<Live>,
}

/// What all workers of a node share.
pub(super) struct Shared {
    pub(super) ledger: Ledger,
    pub(super) fence: Option<Arc<StoreFence>>,
    pub(super) clock: Arc<LedgerClock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) policy: Policy,
    pub(super) gate: Gate,
    /// Where new passwords are judged.
    pub(super) judges: Gate,
    pub(super) last_seen: Notes,
    pub(super) flights: Flights<Answer>,
    pub(super) sightings: Sightings,
    pub(super) throttle: Throttle,
    pub(super) probing: Probing,
    pub(super) outlet: Option<Arc<Outlet>>,
    pub(super) device_changes: DealtWith,
    pub(super) locator: Option<Arc<Locator>>,
    pub(super) moves: Moves,
    pub(super) refusals: Refusals,
    pub(super) hub: Arc<Hub>,
    pub(super) probe: tokio::sync::Mutex<Probe>,
    pub(super) witness: tokio::sync::Mutex<Witness>,
    /// Among the nodes of this database; a command, and a node that is alone by its kind, is not.
    pub(super) membership: OnceLock<Membership>,
}

/// What a fill found: the same for all who waited for it.
pub(super) type Answer = Result<Option<Checked>, Unavailable>;

impl App {
    /// Puts the parts together. Starts the threads that hash passwords, asks nobody anything.
    pub fn new(parts: Parts) -> Self {
        let (live, fence) = parts.live.unzip();
        let refusals = Refusals::new(parts.clock.now());
        let hub = Arc::new(Hub::new(parts.policy.max_event_streams));
        let shared = Shared {
            last_seen: Notes::new(live.is_some()),
            judges: Gate::to_judge(Arc::clone(&parts.random), Arc::<LedgerClock>::clone(&parts.clock)),
            gate: Gate::start(Arc::clone(&parts.random), Arc::<LedgerClock>::clone(&parts.clock)),
            ledger: parts.ledger,
            fence,
            clock: parts.clock,
            random: parts.random,
            policy: parts.policy,
            flights: Flights::default(),
            sightings: Sightings::default(),
            throttle: Throttle::new(parts.throttle_key),
            probing: Probing::default(),
            outlet: parts.webhook.map(|sender| Arc::new(Outlet::new(sender))),
            device_changes: DealtWith::default(),
            locator: parts.locator.map(Arc::new),
            moves: Moves::default(),
            refusals,
            hub,
            probe: tokio::sync::Mutex::default(),
            witness: tokio::sync::Mutex::default(),
            membership: OnceLock::new(),
        };
        Self { shared: Arc::new(shared), live }
    }

    /// The same service with a connection of its own to Redis, for the thread that uses it.
    #[must_use]
    pub fn for_worker(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), live: self.live.as_ref().map(Live::for_worker) }
    }

    /// The ledger, for tests and the command line.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// What time it is for this service: what the ledger's clock shows.
    pub fn clock(&self) -> &dyn Clock {
        self.shared.clock.as_ref()
    }

    /// Which passwords may be chosen here.
    pub fn password_rules(&self) -> &PasswordRules {
        &self.shared.policy.password_rules
    }

    /// What was done to hash passwords since the start.
    pub fn hashing(&self) -> Hashing {
        self.shared.gate.hashing()
    }

    /// A new name for a request.
    pub fn request_id(&self) -> Uuid {
        self.line_id(self.clock().now())
    }

    /// A new id of something that happens now, a UUIDv7.
    pub(super) fn line_id(&self, now: Timestamp) -> Uuid {
        let ms = u64::try_from(now.ms()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(ms, &random::bytes(self.random())).into_uuid()
    }

    /// Chance, for this service.
    pub(super) fn random(&self) -> &dyn Random {
        self.shared.random.as_ref()
    }

    /// A line of the audit log about something that happens now.
    pub(super) fn entry(
        &self,
        event: Event,
        who: &Cause,
        user: Option<UserId>,
        session: Option<SessionId>,
    ) -> audit::Entry {
        // The id begins with the very moment: lines are read in its order.
        let now = self.clock().now();
        audit::Entry {
            id: self.line_id(now),
            at: now,
            event,
            actor: who.actor,
            user,
            session,
            ip: who.client.as_ref().map(|client| client.ip),
            request_id: who.client.as_ref().map(|client| client.request_id),
            detail: None,
        }
    }
}
