//! App: the rooms of the service, and how they are put together.
//!
//! Owns [`App`]. Must never hold a use case: those are in the rooms.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::access_tokens::AccessTokens;
use super::access_tokens::issuer::Issuer;
use super::access_tokens::rules::TokenRules;
use super::audit::Audit;
use super::audit::refusal_counters::RefusalCounters;
use super::check::devices::DealtWith;
use super::check::probing::Probing;
use super::check::single_flight::SingleFlight;
use super::check::{Answer, Check};
use super::core::Core;
use super::core::last_seen_buffer::LastSeenBuffer;
use super::core::location::Locator;
use super::core::policy::Policy;
use super::core::throttle::Throttle;
use super::core::webhook_client::WebhookClient;
use super::credentials::Credentials;
use super::credentials::directory::Directory;
use super::events::Events;
use super::events::hub::Hub;
use super::fence::Fence;
use super::fence::lease_watch::LeaseWatch;
use super::fence::membership::Membership;
use super::fence::node_lease::NodeLease;
use super::fence::readiness::Probe;
use super::fence::rollback_detector::RollbackDetector;
use super::fence::store_fence::StoreFence;
use super::jobs::Jobs;
use super::jobs::background::Background;
use super::near_cache::NearCache;
use super::near_cache::copies::Copies;
use super::near_cache::counts::Counts;
use super::risk::Risk;
use super::risk::address_changes::AddressChanges;
use super::sessions::Sessions;
use super::sessions::acknowledgements::Acknowledgements;
use super::sessions::lease_grace::LeaseGrace;
use super::sign_in::SignIns;
use super::sign_in::decoys::Decoys;
use super::sign_in::exchange_rules::ExchangeRules;
use super::sign_in::hash_pool::HashPool;
use super::users::Users;
use crate::domain::{Clock, LedgerClock, Random, ThrottleKey};
use crate::ledger::Ledger;
use crate::live::Live;
use crate::webhook::Sender;

/// The parts of an [`App`].
pub struct Parts {
    /// The authority.
    pub ledger: Ledger,
    /// The records, if there is a Redis, and the fence that was opened with them.
    pub live: Option<(Live, Arc<StoreFence>)>,
    /// The ledger's clock.
    pub clock: Arc<LedgerClock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
    /// The operator's rules.
    pub policy: Policy,
    /// Names the counters of attempts; the same on all nodes.
    pub throttle_key: ThrottleKey,
    /// The sender to the webhook, if there is one.
    pub webhook: Option<Sender>,
    /// The location files, if there are any.
    pub locator: Option<Locator>,
    /// What the operator says about tokens for services, if they are issued.
    pub tokens: Option<TokenRules>,
    /// What old tokens are exchanged, if any.
    pub exchange: Option<ExchangeRules>,
}

/// The service, by its rooms; cheap to clone. One for each worker thread (see [`App::for_worker`]).
#[derive(Clone)]
pub struct App {
    /// The stores, the clock and the operator's rules.
    pub core: Arc<Core>,
    /// The audit log.
    pub audit: Arc<Audit>,
    /// Streams and webhook messages.
    pub events: Arc<Events>,
    /// What this node trusts.
    pub fence: Arc<Fence>,
    /// Lists and ends sessions.
    pub sessions: Arc<Sessions>,
    /// Alerts and their causes.
    pub risk: Arc<Risk>,
    /// Copies of records in memory.
    pub near_cache: Arc<NearCache>,
    /// The question that every request asks.
    pub check: Arc<Check>,
    /// Services and their secrets.
    pub credentials: Arc<Credentials>,
    /// Tokens for services that cannot ask.
    pub access_tokens: Arc<AccessTokens>,
    /// The sign-in use cases.
    pub sign_in: Arc<SignIns>,
    /// Accounts.
    pub users: Arc<Users>,
    jobs: Arc<Jobs>,
    states: Arc<States>,
}

/// The state that all workers of a node share, beside [`Core`]; each field belongs to one room.
struct States {
    refusals: Arc<RefusalCounters>,
    hub: Arc<Hub>,
    fence: Option<Arc<StoreFence>>,
    detector: Arc<tokio::sync::Mutex<RollbackDetector>>,
    membership: Arc<OnceLock<Membership>>,
    probe: Arc<tokio::sync::Mutex<Probe>>,
    node_lease: Arc<NodeLease>,
    lease_watch: Arc<LeaseWatch>,
    lease_turn: Arc<tokio::sync::Mutex<()>>,
    copies: Option<Arc<Copies>>,
    lease_grace: Arc<LeaseGrace>,
    acknowledgements: Arc<Acknowledgements>,
    address_changes: Arc<AddressChanges>,
    single_flight: Arc<SingleFlight<Answer>>,
    device_changes: Arc<DealtWith>,
    probing: Arc<Probing>,
    exchange: Option<Arc<ExchangeRules>>,
    hash_pool: Arc<HashPool>,
    password_judge: Arc<HashPool>,
    decoys: Arc<Decoys>,
    directory: Arc<Directory>,
    issuer: Option<Arc<Issuer>>,
}

impl App {
    /// Puts the parts together. Starts the hashing threads; calls no store.
    pub fn new(parts: Parts) -> Self {
        let (live, fence) = parts.live.unzip();
        let clock: Arc<dyn Clock> = Arc::<LedgerClock>::clone(&parts.clock);
        let entries = live.as_ref().map_or(0, |_| parts.policy.near_cache);
        let copies = (entries > 0).then(|| Arc::new(Copies::new(entries, parts.random.as_ref())));
        let states = States {
            refusals: Arc::new(RefusalCounters::new(parts.clock.now())),
            hub: Arc::new(Hub::new(parts.policy.max_event_streams)),
            fence,
            detector: Arc::default(),
            membership: Arc::default(),
            probe: Arc::default(),
            node_lease: Arc::new(NodeLease::new(copies.is_some(), parts.random.as_ref())),
            lease_watch: Arc::default(),
            lease_turn: Arc::default(),
            copies,
            lease_grace: Arc::default(),
            acknowledgements: Arc::default(),
            address_changes: Arc::default(),
            single_flight: Arc::default(),
            device_changes: Arc::default(),
            probing: Arc::default(),
            exchange: parts.exchange.map(Arc::new),
            hash_pool: Arc::new(HashPool::start(Arc::clone(&parts.random), Arc::clone(&clock))),
            password_judge: Arc::new(HashPool::to_judge(Arc::clone(&parts.random), clock)),
            directory: Arc::default(),
            issuer: parts.tokens.map(|rules| Arc::new(Issuer::new(rules))),
            decoys: Arc::default(),
        };
        let core = Core {
            last_seen: Arc::new(LastSeenBuffer::new(live.is_some())),
            ledger: parts.ledger,
            live,
            clock: parts.clock,
            random: parts.random,
            policy: Arc::new(parts.policy),
            locator: parts.locator.map(Arc::new),
            webhook_client: parts.webhook.map(|sender| Arc::new(WebhookClient::new(sender))),
            throttle: Arc::new(Throttle::new(parts.throttle_key)),
        };
        Self::of(core, Arc::new(states))
    }

    /// The same service with its own connection to Redis, for the thread that uses it.
    #[must_use]
    pub fn for_worker(&self) -> Self {
        Self::of(self.core.for_worker(), Arc::clone(&self.states))
    }

    /// The rooms, each built on those below it.
    fn of(core: Core, states: Arc<States>) -> Self {
        let core = Arc::new(core);
        let audit = Arc::new(Audit { core: Arc::clone(&core), refusals: Arc::clone(&states.refusals) });
        let events = Arc::new(Events { core: Arc::clone(&core), hub: Arc::clone(&states.hub) });
        let fence = Self::fence(&core, &states);
        let sessions = Arc::new(Self::sessions(&core, &audit, &events, &fence, &states));
        let risk = Arc::new(Risk {
            core: Arc::clone(&core),
            audit: Arc::clone(&audit),
            events: Arc::clone(&events),
            sessions: Arc::clone(&sessions),
            address_changes: Arc::clone(&states.address_changes),
        });
        let near_cache = Arc::new(Self::near_cache(&core, &fence, &states));
        let check = Arc::new(Check {
            core: Arc::clone(&core),
            audit: Arc::clone(&audit),
            fence: Arc::clone(&fence),
            sessions: Arc::clone(&sessions),
            risk: Arc::clone(&risk),
            near_cache: Arc::clone(&near_cache),
            single_flight: Arc::clone(&states.single_flight),
            device_changes: Arc::clone(&states.device_changes),
            probing: Arc::clone(&states.probing),
        });
        let credentials = Arc::new(Self::credentials(&core, &audit, &states));
        let access_tokens = Arc::new(Self::access_tokens(&core, &audit, &states));
        let sign_in = Arc::new(Self::sign_in(&core, &audit, &events, &sessions, &risk, &states));
        let users = Arc::new(Users {
            core: Arc::clone(&core),
            audit: Arc::clone(&audit),
            events: Arc::clone(&events),
            fence: Arc::clone(&fence),
            sessions: Arc::clone(&sessions),
            sign_in: Arc::clone(&sign_in),
        });
        let jobs = Arc::new(Jobs {
            core: Arc::clone(&core),
            audit: Arc::clone(&audit),
            events: Arc::clone(&events),
            fence: Arc::clone(&fence),
            sessions: Arc::clone(&sessions),
            risk: Arc::clone(&risk),
            check: Arc::clone(&check),
            users: Arc::clone(&users),
        });
        Self {
            core,
            audit,
            events,
            fence,
            sessions,
            risk,
            near_cache,
            check,
            credentials,
            access_tokens,
            sign_in,
            users,
            jobs,
            states,
        }
    }

    fn fence(core: &Arc<Core>, states: &States) -> Arc<Fence> {
        Arc::new(Fence {
            core: Arc::clone(core),
            fence: states.fence.clone(),
            detector: Arc::clone(&states.detector),
            membership: Arc::clone(&states.membership),
            probe: Arc::clone(&states.probe),
            node_lease: Arc::clone(&states.node_lease),
            lease_watch: Arc::clone(&states.lease_watch),
            lease_turn: Arc::clone(&states.lease_turn),
        })
    }

    fn sessions(
        core: &Arc<Core>,
        audit: &Arc<Audit>,
        events: &Arc<Events>,
        fence: &Arc<Fence>,
        states: &States,
    ) -> Sessions {
        Sessions {
            core: Arc::clone(core),
            audit: Arc::clone(audit),
            events: Arc::clone(events),
            fence: Arc::clone(fence),
            lease_grace: Arc::clone(&states.lease_grace),
            acknowledgements: Arc::clone(&states.acknowledgements),
        }
    }

    fn sign_in(
        core: &Arc<Core>,
        audit: &Arc<Audit>,
        events: &Arc<Events>,
        sessions: &Arc<Sessions>,
        risk: &Arc<Risk>,
        states: &States,
    ) -> SignIns {
        SignIns {
            core: Arc::clone(core),
            audit: Arc::clone(audit),
            events: Arc::clone(events),
            sessions: Arc::clone(sessions),
            risk: Arc::clone(risk),
            exchange: states.exchange.clone(),
            hash_pool: Arc::clone(&states.hash_pool),
            password_judge: Arc::clone(&states.password_judge),
            decoys: Arc::clone(&states.decoys),
        }
    }

    fn credentials(core: &Arc<Core>, audit: &Arc<Audit>, states: &States) -> Credentials {
        Credentials { core: Arc::clone(core), audit: Arc::clone(audit), directory: Arc::clone(&states.directory) }
    }

    fn access_tokens(core: &Arc<Core>, audit: &Arc<Audit>, states: &States) -> AccessTokens {
        AccessTokens { core: Arc::clone(core), audit: Arc::clone(audit), issuer: states.issuer.clone() }
    }

    fn near_cache(core: &Arc<Core>, fence: &Arc<Fence>, states: &States) -> NearCache {
        let counts = Arc::<Counts>::default();
        if let Some(copies) = &states.copies {
            copies.counts.lock().push(Arc::clone(&counts));
        }
        NearCache { core: Arc::clone(core), fence: Arc::clone(fence), copies: states.copies.clone(), counts }
    }

    /// Starts the background tasks of a serving node, on the current runtime.
    pub fn serve(&self) -> Background {
        let (stopping, stop) = watch::channel(false);
        // Each of these uses its own connection.
        let own = || self.for_worker().jobs;
        let jobs = || Arc::clone(&self.jobs);
        let mut tasks = vec![
            tokio::spawn(own().write_last_seen(stop.clone())),
            tokio::spawn(own().sweep(stop.clone())),
            tokio::spawn(jobs().write_record(stop.clone())),
            tokio::spawn(jobs().housekeep(stop.clone())),
            // Uses the connection from the check before serving; without Redis, watches the database's file.
            tokio::spawn(jobs().keep_looking(stop.clone())),
            tokio::spawn(jobs().keep_comparing_clocks(stop.clone())),
            tokio::spawn(jobs().deliver(stop.clone())),
            tokio::spawn(Arc::clone(&self.fence).keep_place(stop.clone())),
            tokio::spawn(Arc::clone(&self.fence).renew_node_lease(stop.clone())),
            tokio::spawn(own().tell_streams(stop.clone())),
        ];
        if self.core.locator.is_some() {
            tasks.push(tokio::spawn(jobs().keep_files(stop.clone())));
            tasks.push(tokio::spawn(own().follow_moves(stop.clone())));
            tasks.push(tokio::spawn(own().make_rounds(stop.clone())));
        }
        if self.access_tokens.are_on() {
            tasks.push(tokio::spawn(Arc::clone(&self.access_tokens).keep_keys(stop.clone())));
        }
        if self.core.live.is_some() {
            tasks.push(tokio::spawn(self.for_worker().events.hear_others(stop.clone())));
            tasks.push(tokio::spawn(self.for_worker().sessions.hear_acknowledgements(stop.clone())));
            tasks.push(tokio::spawn(own().renew_leases(stop.clone())));
        }
        if self.near_cache.copies.is_some() {
            let near_cache = self.for_worker().near_cache;
            tasks.push(tokio::spawn(Arc::clone(&near_cache).hear_requests(stop.clone())));
            tasks.push(tokio::spawn(Arc::clone(&near_cache).send_echoes(stop.clone())));
            tasks.push(tokio::spawn(near_cache.tell_figures(stop)));
        }
        Background::new(Arc::clone(&self.jobs), stopping, tasks)
    }
}
