//! The stores and the people that a killed server leaves behind.
//!
//! Owns the look at both: what each cookie opens at a node, and what the ledger holds of an account.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sessiond::server::open_ledger;
use sessiond::service::App;

use super::operations::Operation;
use crate::support::client::{Admin, PASSWORD, SignedIn};
use crate::support::issue::issue_at;
use crate::support::process::{Process, command_line_ok};
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores};
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};

/// How long a killed server's work may take to be settled: the sweepers look every second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stores with a node that lives on, or that stands for the killed one after its restart.
pub struct World {
    /// How a node is set up here.
    pub settings: Settings,
    /// Somebody who may disable accounts.
    pub admin: Admin,
    stores: Stores,
    app: App,
    node: Process,
    lone: bool,
}

/// Somebody with four sessions, in the order of their age; the last is the one that asks.
pub struct People {
    sessions: [SignedIn; 4],
    /// The token of a link to set a new password, if there is one.
    pub link: Option<String>,
}

/// What the ledger holds of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Sessions that have not ended.
    pub live_rows: usize,
    /// How often all sessions were ended.
    pub epoch: i64,
    /// Whether it may sign in.
    pub enabled: bool,
    /// Links that can still be used.
    pub good_links: usize,
    /// Whether the password's hash is the one from before.
    pub same_hash: bool,
    /// How many lines of each event the audit log has.
    pub lines: BTreeMap<String, usize>,
}

impl People {
    /// The session that asks.
    pub fn current(&self) -> &SignedIn {
        &self.sessions[3]
    }

    /// The session that has to go first.
    pub fn oldest(&self) -> &SignedIn {
        &self.sessions[0]
    }

    /// What each cookie opens at a node.
    async fn alive_at(&self, url: &str) -> [bool; 4] {
        let mut alive = [false; 4];
        for (alive, person) in alive.iter_mut().zip(&self.sessions) {
            let answer = person.copy_at(url).get("/auth/forward").await;
            assert!([200, 401].contains(&answer.status), "{answer}");
            *alive = answer.status == 200;
        }
        alive
    }
}

impl World {
    /// New stores. Lone: no node lives on while another is killed.
    pub async fn new(backend: Backend, lone: bool) -> Self {
        let stores = Stores::new(backend);
        let settings = stores.settings();
        let node = Process::start(&settings);
        let app = open_ledger(&settings.config().expect("settings")).await.expect("the ledger");
        let admin = Admin::create(&settings, &node.url()).await;
        Self { settings, admin, stores, app, node, lone }
    }

    /// Somebody new with four sessions, each with a record where there is a Redis.
    pub async fn people(&self, operation: Operation) -> People {
        let oldest = self.node.anonymous().sign_up().await;
        let issue = || issue_at(&self.app, &self.settings, &oldest, oldest.browser().base());
        let (middle, newest, current) = (issue().await, issue().await, issue().await);
        if operation == Operation::SignIn {
            let hash = outdated_hash();
            self.stores
                .database
                .execute(&format!("UPDATE users SET password_hash = '{hash}' WHERE id = '{}'", oldest.user_id));
        }
        let link = operation.wants_link().then(|| {
            let printed = command_line_ok(&self.settings, &["user", "reset", &oldest.email], "");
            let link = printed.split_whitespace().find(|word| word.contains("/reset#")).expect("a link");
            link.rsplit('#').next().expect("a fragment").to_owned()
        });
        let people = People { sessions: [oldest, middle, newest, current], link };
        assert_eq!(people.alive_at(&self.node.url()).await, [true; 4], "before anything");
        people
    }

    /// Kills a server at the point and judges what is left; gives how long it took to be settled.
    pub async fn kill(&mut self, operation: Operation, point: &str, committed: bool) -> Duration {
        let people = self.people(operation).await;
        let (before, hash) = self.ledger(&people, None);
        let (alive, ledger) = match committed {
            true => (operation.alive_after(), operation.ledger_after(&before)),
            false => ([true; 4], before),
        };
        if self.lone {
            self.node.terminate();
        }
        operation.die(self, &people, point).await;
        let watch = stopwatch();
        if self.lone {
            self.node.restart();
        }
        self.settle(&people, alive, point).await;
        let took = watch();
        assert_eq!(self.ledger(&people, Some(&hash)).0, ledger, "{operation:?} at {point:?} is half done");
        let other = Process::start(&self.settings);
        assert_eq!(people.alive_at(&other.url()).await, alive, "{operation:?} at {point:?}: of two minds");
        if operation == Operation::Delete && committed {
            // Nobody has asked again: a node that starts finishes it.
            until("nothing personal is left", PATIENCE, async || self.personal(&people) == 0).await;
        }
        if operation.repeats(committed) {
            // Only a 2xx says that it holds; then it holds everywhere, and at once.
            until("it is answered 2xx", PATIENCE, async || {
                let status = operation.ask(self, &people, &self.node.url()).await;
                status.is_some_and(|status| (200..300).contains(&status))
            })
            .await;
            for node in [&self.node, &other] {
                let alive = people.alive_at(&node.url()).await;
                assert_eq!(alive, operation.alive_after(), "{operation:?} at {point:?}, repeated");
            }
        }
        took
    }

    /// Rows with something personal of an account.
    fn personal(&self, people: &People) -> usize {
        let user = &people.oldest().user_id;
        let rows = |table: &str, condition: &str| self.stores.database.count(table, condition);
        rows("users", &format!("id = '{user}' AND (email <> '' OR name IS NOT NULL OR password_hash <> '')"))
            + rows("user_names", &format!("user_id = '{user}'"))
            + rows("sessions", &format!("user_id = '{user}' AND (last_ip <> '' OR user_agent IS NOT NULL)"))
            + rows("audit", &format!("user_id = '{user}' AND ip IS NOT NULL AND actor IN ('{user}', 'anonymous')"))
    }

    /// Waits until nothing is left to be confirmed and the cookies open what they should; what is dead stays dead.
    async fn settle(&self, people: &People, expected: [bool; 4], point: &str) {
        let mut least = [true; 4];
        let watch = stopwatch();
        loop {
            let confirmed = self.stores.database.count("pending_invalidations", "1 = 1") == 0;
            let alive = people.alive_at(&self.node.url()).await;
            let risen = alive.iter().zip(&least).any(|(now, before)| *now && !before);
            assert!(!risen, "{point}: a session came back: {least:?}, then {alive:?}");
            least = alive;
            if confirmed {
                // From here on nothing may change any more.
                assert_eq!(alive, expected, "{point}: confirmed, and yet");
                return;
            }
            assert!(watch() < PATIENCE, "{point}: not settled: {alive:?} instead of {expected:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the ledger holds, and the password's hash to compare with the next time.
    fn ledger(&self, people: &People, hash_before: Option<&str>) -> (Ledger, String) {
        let user = &people.oldest().user_id;
        let row = self.stores.database.value(&format!(
            "SELECT CAST((SELECT count(*) FROM sessions WHERE user_id = '{user}' AND ended_at IS NULL) AS TEXT) \
             || ' ' || CAST(epoch AS TEXT) || ' ' || CASE WHEN disabled_at IS NULL THEN 'yes' ELSE 'no' END \
             || ' ' || CAST((SELECT count(*) FROM password_resets \
             WHERE user_id = '{user}' AND used_at IS NULL) AS TEXT) \
             || ' ' || password_hash AS value FROM users WHERE id = '{user}'"
        ));
        let [live, epoch, enabled, links, hash] = row.split(' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let lines = self.stores.database.values(&format!(
            "SELECT event || ' ' || CAST(count(*) AS TEXT) AS value FROM audit WHERE user_id = '{user}' GROUP BY event"
        ));
        let lines = lines.iter().flatten().filter_map(|line| line.split_once(' '));
        let ledger = Ledger {
            live_rows: live.parse().expect("a number"),
            epoch: epoch.parse().expect("a number"),
            enabled: enabled == "yes",
            good_links: links.parse().expect("a number"),
            same_hash: hash_before.is_none_or(|before| before == hash),
            lines: lines.map(|(event, count)| (event.to_owned(), count.parse().expect("a number"))).collect(),
        };
        (ledger, hash.to_owned())
    }
}

/// A hash of the usual password that the next sign-in replaces by a stronger one, however cheap hashes are in this test.
fn outdated_hash() -> String {
    let params = argon2::Params::new(8, 1, 1, Some(32)).expect("parameters");
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let (salt, mut output) = (b"somesaltsomesalt", [0; 32]);
    hasher.hash_password_into(PASSWORD.as_bytes(), salt, &mut output).expect("a hash");
    let [salt, output] = [salt.as_slice(), output.as_slice()].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    format!("$argon2id$v=19$m=8,t=1,p=1${salt}${output}")
}
