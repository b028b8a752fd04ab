//! What is under way when the server is killed: its request, and all that it changes or nothing.
//!
//! Owns the expectation of each operation. A state that is neither the old nor the new one is half done.

use std::collections::BTreeMap;
use std::process::Stdio;

use reqwest::Method;
use serde_json::json;

use super::renewal;
use super::world::{Ledger, People, World};
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::requests::Requests;
use crate::support::settings::Settings;

/// The password that is changed to.
pub const NEW_PASSWORD: &str = "four other words, unlikely";

/// Something that writes more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// In a browser that has a session, with a password whose hash is outdated, at the limit of sessions.
    SignIn,
    /// One other session.
    EndOne,
    /// All but the one that asks.
    EndOthers,
    /// All.
    EndAll,
    /// The one that asks.
    SignOut,
    /// With another good link lying about.
    ChangePassword,
    /// A new token, as an application asks for it.
    Renew,
    /// A new token, for whoever proves again who they are.
    Reauthenticate,
    /// A new password by a link.
    Reset,
    /// By an administrator.
    Disable,
    /// All of one user, found by a filter, by an administrator.
    Matching,
    /// By an administrator: with all that is personal.
    Delete,
}

use Operation::*;

/// What an operation changes.
struct Change {
    /// Which cookies still open a session: of the oldest, the middle, the newest, and the one that asks.
    alive: [bool; 4],
    live_rows: usize,
    raises_epoch: bool,
    new_hash: bool,
    disables: bool,
    lines: &'static [(&'static str, usize)],
}

impl Operation {
    /// Whether the account has a good link before.
    pub fn wants_link(self) -> bool {
        matches!(self, Reset | ChangePassword)
    }

    /// What of the four cookies still opens a session afterwards.
    pub fn alive_after(self) -> [bool; 4] {
        self.change().alive
    }

    /// The ledger after the operation, given the ledger before.
    pub fn ledger_after(self, before: &Ledger) -> Ledger {
        let change = self.change();
        let mut lines: BTreeMap<String, usize> = before.lines.clone();
        for (event, count) in change.lines {
            *lines.entry((*event).to_owned()).or_default() += count;
        }
        Ledger {
            live_rows: change.live_rows,
            epoch: before.epoch + i64::from(change.raises_epoch),
            enabled: !change.disables,
            good_links: if self.wants_link() { 0 } else { before.good_links },
            same_hash: !change.new_hash,
            lines,
        }
    }

    fn change(self) -> Change {
        let nothing = Change {
            alive: [true; 4],
            live_rows: 4,
            raises_epoch: false,
            new_hash: false,
            disables: false,
            lines: &[],
        };
        let all = Change { alive: [false; 4], live_rows: 0, raises_epoch: true, ..nothing };
        match self {
            SignIn => Change {
                alive: [false, true, true, false],
                live_rows: 3,
                new_hash: true,
                lines: &[("authn_login_success", 1), ("session_revoked", 2)],
                ..nothing
            },
            EndOne => {
                Change { alive: [false, true, true, true], live_rows: 3, lines: &[("session_revoked", 1)], ..nothing }
            }
            EndOthers => {
                Change { alive: [false, false, false, true], live_rows: 1, lines: &[("session_revoked", 3)], ..all }
            }
            Matching => Change {
                alive: [false; 4],
                live_rows: 0,
                lines: &[("session_revoked", 4), ("sessions_revoked_by_filter", 1)],
                ..nothing
            },
            EndAll => Change { lines: &[("session_revoked", 4)], ..all },
            SignOut => {
                Change { alive: [true, true, true, false], live_rows: 3, lines: &[("session_revoked", 1)], ..nothing }
            }
            ChangePassword => Change {
                live_rows: 1,
                new_hash: true,
                lines: &[("authn_password_change", 1), ("session_revoked", 3)],
                ..all
            },
            Renew => Change { alive: [true, true, true, false], lines: &[("session_renewed", 1)], ..nothing },
            Reauthenticate => {
                Change { alive: [true, true, true, false], lines: &[("authn_reauthenticated", 1)], ..nothing }
            }
            Reset => Change { new_hash: true, lines: &[("authn_password_reset", 1), ("session_revoked", 4)], ..all },
            Delete => {
                Change { new_hash: true, disables: true, lines: &[("user_deleted", 1), ("session_revoked", 4)], ..all }
            }
            Disable => Change { disables: true, lines: &[("user_disabled", 1), ("session_revoked", 4)], ..all },
        }
    }

    /// Whether the operation can be asked for once more, given whether it has happened.
    pub fn repeats(self, happened: bool) -> bool {
        match self {
            EndOne | SignOut | EndOthers | Disable | Delete | Matching => true,
            EndAll | ChangePassword | Reset => !happened,
            SignIn | Renew | Reauthenticate => false,
        }
    }

    /// Asks for it at the node with this URL. None: it died over it.
    pub async fn ask(self, world: &World, people: &People, url: &str) -> Option<u16> {
        let asks = people.current().copy_at(url);
        let (method, path, body) = match self {
            SignIn => (Method::POST, "/login".to_owned(), Some(json!({ "email": asks.email, "password": PASSWORD }))),
            EndOne => (Method::DELETE, format!("/sessions/{}", people.oldest().session_id), None),
            EndOthers => (Method::DELETE, "/sessions".to_owned(), None),
            EndAll => (Method::DELETE, "/sessions?include_current=true".to_owned(), None),
            SignOut => (Method::POST, "/logout".to_owned(), None),
            ChangePassword => {
                let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
                (Method::PUT, "/me/password".to_owned(), Some(body))
            }
            Reauthenticate => (Method::POST, "/reauthenticate".to_owned(), Some(json!({ "password": PASSWORD }))),
            Reset => {
                let body = json!({ "token": people.link, "new_password": NEW_PASSWORD });
                (Method::POST, "/reset".to_owned(), Some(body))
            }
            Delete => (Method::DELETE, format!("/admin/users/{}", asks.user_id), None),
            Disable => (Method::POST, format!("/admin/users/{}/disable", asks.user_id), None),
            Matching => {
                let body = json!({ "filter": { "user": asks.user_id } });
                (Method::POST, "/admin/sessions/revoke".to_owned(), Some(body))
            }
            Renew => panic!("no route renews"),
        };
        let is_admins = matches!(self, Disable | Delete | Matching);
        let asks = if is_admins { world.admin.person().copy_at(url) } else { asks };
        let call = asks.change(method, &path);
        let call = if let Some(body) = &body { call.json(body) } else { call };
        call.try_send().await.ok().map(|answer| answer.status)
    }

    /// A process that dies at the point while it does this; panics when it lives.
    pub async fn die(self, world: &World, people: &People, point: &str) {
        let settings = world.settings.clone().with("SESSIOND_FAULT_POINT", point);
        if self == Renew {
            let mut child = renewing_process(&settings, people.current());
            let ended = child.wait().expect("own process can be waited for");
            assert!(was_killed(ended), "{point} is not on the way of {self:?}: {ended}");
            return;
        }
        // Four sessions and one more: the oldest has to go, besides the one that is replaced.
        let settings = if self == SignIn { settings.with("SESSIOND_MAX_SESSIONS", "3") } else { settings };
        let mut armed = crate::support::process::Process::start(&settings);
        let answered = self.ask(world, people, &armed.url()).await;
        let ended = armed.wait_for_end();
        assert!(ended.is_some_and(was_killed), "{point} is not on the way of {self:?}: {answered:?}, {ended:?}");
        assert_eq!(answered, None, "{point}: it answered and died");
    }
}

fn was_killed(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal().is_some()
}

/// This test program again, as the process that renews a session.
fn renewing_process(settings: &Settings, person: &SignedIn) -> std::process::Child {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", renewal::NAME, "--ignored"]).env_clear().envs(settings.pairs());
    command.env(renewal::TOKEN, person.token()).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("this program starts")
}
