//! Many sessions ended by a filter: a dry run tells what the real one does, memory stays flat, each of them is over at
//! once on every node, and a server that is killed between two pages leaves nothing half done that a repetition does
//! not finish.
//!
//! 3 000 of them, and 100 000 with `tests/run --soak`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use sessiond::domain::{Clock, SystemClock};
use sessiond::server::open_ledger;

use crate::support::client::{Admin, COOKIE};
use crate::support::crowd::{Member, gather, user};
use crate::support::issue::signed;
use crate::support::process::Process;
use crate::support::requests::{Requests, Response};
use crate::support::server::{Backend, Stores};
use crate::support::settings::Settings;
use crate::support::wait::stopwatch;

const ASKERS: usize = 4;
/// Of so many one fits not.
const SPARED_OF: usize = 10;
/// What listing, ending and confirming a page may add to a server's memory, however many pages there are.
const FLAT_KIB: usize = 60 * 1024;

/// So many in the ordinary run, and a hundred thousand where there is time.
fn size(ordinary: usize) -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 100_000 } else { ordinary }
}

/// Of the many every so-many-th is asked about when there are too many to ask about all.
fn asked_of(size: usize) -> usize {
    (size / 3_000).max(1)
}

struct World {
    stores: Stores,
    settings: Settings,
    admin: Admin,
    node: Process,
    other: Process,
    members: Vec<Member>,
}

impl World {
    async fn new(backend: Backend, size: usize) -> Self {
        let stores = Stores::new(backend);
        // So that the loop over requests does not meet a proof that has become too old on a slow machine.
        let settings = stores.settings().with("SESSIOND_STEP_UP_AGE", "12h");
        let (node, other) = (Process::start(&settings), Process::start(&settings));
        let app = open_ledger(&settings.config().expect("settings")).await.expect("the ledger");
        let admin = Admin::create(&settings, &node.url()).await;
        let now = SystemClock::new().now();
        let owner = user(app.core.ledger(), now).await;
        let members = gather(app.core.ledger(), owner, now, size, |number, row| {
            row.country = Some(if number.is_multiple_of(SPARED_OF) { "PT" } else { "BR" }.to_owned());
        })
        .await;
        Self { stores, settings, admin, node, other, members }
    }

    /// The live sessions' ids, by the ledger.
    fn live(&self) -> BTreeSet<String> {
        let ids = "SELECT id AS value FROM sessions WHERE ended_at IS NULL AND country IS NOT NULL";
        self.stores.database.values(ids).into_iter().flatten().collect()
    }

    fn spared(&self) -> BTreeSet<String> {
        let spared = self.members.iter().filter(|member| member.row.country.as_deref() == Some("PT"));
        spared.map(|member| member.row.id.to_string()).collect()
    }

    /// Asks both nodes about each: those that were spared are alive, the others dead if `ended`.
    async fn judge(&self, ended: bool) {
        let urls = Arc::new([self.node.url(), self.other.url()]);
        let settings = Arc::new(self.settings.clone());
        let asked: Vec<Member> = self.members.iter().step_by(asked_of(self.members.len())).cloned().collect();
        let shares = asked.chunks(asked.len().div_ceil(ASKERS)).map(<[Member]>::to_vec);
        let askers = shares.map(|share| {
            let (urls, settings) = (Arc::clone(&urls), Arc::clone(&settings));
            tokio::spawn(async move {
                for (number, member) in share.iter().enumerate() {
                    let alive = !ended || member.row.country.as_deref() == Some("PT");
                    let who = crate::support::client::Anonymous::at(&urls[number % urls.len()]);
                    who.browser().set_cookie(COOKIE, &signed(&settings, &member.token));
                    let answer = who.get("/auth/forward").await;
                    assert_eq!(answer.status, if alive { 200 } else { 401 }, "{}: {answer}", member.row.id);
                }
            })
        });
        for asker in askers.collect::<Vec<_>>() {
            asker.await.expect("P1 for each of them");
        }
    }

    async fn revoke(&self, url: &str, dry_run: bool, cursor: &Value) -> Option<Response> {
        let body = json!({ "filter": { "country": "BR" }, "dry_run": dry_run, "limit": 1_000, "cursor": cursor });
        let admin = self.admin.person().copy_at(url);
        let call = admin.change(reqwest::Method::POST, "/admin/sessions/revoke").json(&body);
        call.try_send().await.ok()
    }

    /// Repeats it while there is more. How many matched, and how many were ended.
    async fn revoke_all(&self, dry_run: bool) -> (u64, u64) {
        let (mut matched, mut revoked, mut cursor) = (0, 0, Value::Null);
        loop {
            let answer = self.revoke(&self.node.url(), dry_run, &cursor).await.expect("an answer");
            let body = answer.assert_status(200).json();
            matched += body["matched"].as_u64().expect("a number");
            revoked += body["revoked"].as_u64().expect("a number");
            assert_eq!(body["unconfirmed"], 0);
            if body["more"] == false {
                return (matched, revoked);
            }
            cursor = body["next_cursor"].clone();
        }
    }

    fn lines(&self) -> usize {
        self.stores.database.count("audit", "event = 'session_revoked' AND detail = 'revoked'")
    }
}

/// The most memory that a process ever had, in KiB.
fn peak(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

async fn many_end(backend: Backend) {
    let world = World::new(backend, size(1_500)).await;
    world.judge(false).await;
    let (all, spared) = (world.members.len(), world.spared());
    let fitting = u64::try_from(all - spared.len()).expect("small");
    let before = peak(world.node.pid());
    let watch = stopwatch();
    assert_eq!(world.revoke_all(true).await, (fitting, 0), "the dry run");
    let counted = watch();
    assert_eq!(world.live().len(), all, "a dry run ends nothing");
    let watch = stopwatch();
    assert_eq!(world.revoke_all(false).await, (fitting, fitting), "the real run is the dry run");
    let ended = watch();
    let grown = peak(world.node.pid()).saturating_sub(before);
    println!(
        "{backend:?}: {fitting} of {all} sessions, by requests of 1000: counted in {counted:?}, ended in {ended:?}; \
         VmHWM {before} KiB before, {grown} KiB more after"
    );
    world.judge(true).await;
    assert_eq!(world.live(), spared);
    assert_eq!(world.lines(), all - spared.len(), "one line for each");
    assert_eq!(world.stores.database.count("pending_invalidations", "1 = 1"), 0);
    assert!(grown < FLAT_KIB, "{grown} KiB more");
    assert_eq!(world.revoke_all(false).await, (0, 0), "again ends nothing");
    assert_eq!(world.lines(), all - spared.len());
}

#[cfg(feature = "fault-points")]
async fn killed_between_pages(backend: Backend) {
    let world = World::new(backend, size(1_200)).await;
    let spared = world.spared();
    for (killed, point) in ["end matching: committed", "end matching: page done"].into_iter().enumerate() {
        let before = world.live().len();
        let armed = Process::start(&world.settings.clone().with("SESSIOND_FAULT_POINT", point));
        assert!(world.revoke(&armed.url(), false, &Value::Null).await.is_none(), "{point}: it answered");
        let ended = before - world.live().len();
        println!("{backend:?}: killed at {point:?} with {ended} of {before} ended");
        assert!(ended > 0 && ended <= 1_000, "{point}: {ended}");
        assert_eq!(world.lines(), world.members.len() - world.live().len(), "{point}: one line for each");
        let commands = world.stores.database.count("audit", "event = 'sessions_revoked_by_filter'");
        assert_eq!(commands, killed + 1, "{point}: it is known by which filter they ended");
    }
    world.revoke_all(false).await;
    // Only now was it answered 2xx.
    assert_eq!(world.live(), spared);
    assert_eq!(world.lines(), world.members.len() - spared.len());
    assert_eq!(
        world.stores.database.count("pending_invalidations", "1 = 1"),
        0,
        "the repetition confirms what was left"
    );
    world.judge(true).await;
}

/// Redis does not answer: what was ended is not told as ended, by status and by count, until a repetition confirms it.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_confirmed_is_never_a_2xx() {
    let world = World::new(Backend::Production, 400).await;
    world.judge(false).await;
    world.stores.redis().pause();
    let answer = world.revoke(&world.node.url(), false, &Value::Null).await.expect("an answer");
    world.stores.redis().resume();
    let body = answer.assert_problem(503, "unconfirmed").json();
    println!("unconfirmed: {body}");
    assert!(answer.header("retry-after").is_some());
    let number = |name: &str| body["outcome"][name].as_u64().expect("a number");
    assert_eq!((number("revoked"), number("unconfirmed")), (0, number("matched")), "{body}");
    assert!(number("matched") > 0);
    crate::support::wait::until("it is answered 2xx", std::time::Duration::from_secs(30), async || {
        let again = world.revoke(&world.node.url(), false, &Value::Null).await.expect("an answer");
        assert!([200, 503].contains(&again.status), "{again}");
        again.status == 200 && again.json()["more"] == false
    })
    .await;
    world.judge(true).await;
    assert_eq!(world.live(), world.spared());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_end_embedded() {
    many_end(Backend::Embedded).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_end_production() {
    many_end(Backend::Production).await;
}

#[cfg(feature = "fault-points")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_between_pages_embedded() {
    killed_between_pages(Backend::Embedded).await;
}

#[cfg(all(feature = "postgres", feature = "fault-points"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_between_pages_production() {
    killed_between_pages(Backend::Production).await;
}
