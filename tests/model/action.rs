//! The steps by name, as a counterexample tells them.
//!
//! Owns the spelling. Each step bears the name of the method that takes it in the code; what nobody does on purpose
//! is in capitals.

use std::fmt::{self, Display, Formatter};

use super::state::COMMAND_LINE;

/// One step. Numbers name nodes, processes, tokens and fills.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    SignIn,
    Take { node: usize, token: usize, process: usize, got: &'static str },
    FillWithoutRedis { node: usize, token: usize },
    Board { node: u8, token: u8 },
    FindLive { node: u8, token: u8, alive: bool },
    Put { node: u8, token: u8, process: u8, stored: bool },
    Answer { node: u8, token: u8, yes: bool },
    ReadForTouch { node: usize, token: usize, process: usize },
    Touch { token: u8, process: u8, stored: bool },
    End { node: usize },
    EndAll { node: usize, nothing: bool },
    Renew { node: usize },
    StoreData { node: usize },
    Sweep { node: usize },
    Delete { node: u8, process: usize },
    Status { node: u8, found: &'static str },
    Swept { node: u8, yes: bool },
    Remove { node: u8 },
    GiveUp { node: u8 },
    Enroll { node: usize, process: usize, found: &'static str },
    Commit { node: u8, process: u8 },
    DateRetirements,
    RenewLeases { node: usize },
    Outage { node: usize, process: usize },
    Tick,
    Evict { process: usize, token: usize },
    Copy { process: usize },
    Restart { process: usize, successor: usize, with: &'static str },
    Promote { successor: usize },
    Disconnect { node: usize, process: usize },
    Crash { node: usize },
}

fn node(number: impl Into<usize>) -> &'static str {
    match number.into() {
        0 => "node A",
        1 => "node B",
        COMMAND_LINE => "command line",
        _ => "a node",
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Take { .. }
            | Self::FillWithoutRedis { .. }
            | Self::Board { .. }
            | Self::FindLive { .. }
            | Self::Put { .. }
            | Self::Answer { .. }
            | Self::ReadForTouch { .. }
            | Self::Touch { .. } => self.of_a_check(f),
            Self::Enroll { .. }
            | Self::Commit { .. }
            | Self::DateRetirements
            | Self::RenewLeases { .. }
            | Self::Outage { .. }
            | Self::Tick
            | Self::Evict { .. }
            | Self::Copy { .. }
            | Self::Restart { .. }
            | Self::Promote { .. }
            | Self::Disconnect { .. }
            | Self::Crash { .. } => self.of_the_world(f),
            _ => self.of_a_change(f),
        }
    }
}

impl Action {
    fn of_a_check(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Take { node: n, token, process, got } => {
                write!(f, "{}: check(t{token}) is in doubt; take at R{process}: {got}", node(n))
            }
            Self::FillWithoutRedis { node: n, token } => write!(f, "{}: check(t{token}) without a Redis", node(n)),
            Self::Board { node: n, token } => {
                write!(f, "{}: another check(t{token}) STARTS, after the 2xx, and boards this flight", node(n))
            }
            Self::FindLive { node: n, token, alive } => {
                let found = if alive { "live, everybody on board is answered yes" } else { "not live" };
                write!(f, "{}: find_live(t{token}) reads the ledger: {found}", node(n))
            }
            Self::Put { node: n, token, process, stored } => {
                let stored = if stored { "the record stands" } else { "refused, its lease is gone" };
                write!(f, "{}: put(t{token}) arrives at R{process}: {stored}", node(n))
            }
            Self::Answer { node: n, token, yes } => {
                write!(
                    f,
                    "{}: everybody on the flight is answered: t{token} {}",
                    node(n),
                    if yes { "YES" } else { "no" }
                )
            }
            Self::ReadForTouch { node: n, token, process } => {
                write!(f, "{}: check(t{token}) reads the record at R{process}: yes, and sends a touch", node(n))
            }
            Self::Touch { token, process, stored } => {
                let stored = if stored { "written" } else { "refused, that record is gone" };
                write!(f, "touch(t{token}) arrives at R{process}: {stored}")
            }
            _ => Ok(()),
        }
    }

    fn of_a_change(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SignIn => write!(f, "sign_in: the row of t0 is committed"),
            Self::End { node: n } => {
                write!(f, "{}: end commits: the row has ended, invalidations of its records are pending", node(n))
            }
            Self::EndAll { node: n, nothing: true } => {
                write!(f, "{}: end_all commits: all rows had ended before; nothing to invalidate: 2xx", node(n))
            }
            Self::EndAll { node: n, .. } => write!(f, "{}: end_all commits: all rows of the user have ended", node(n)),
            Self::Renew { node: n } => {
                write!(f, "{}: renew commits: the next token, an invalidation of the old one is pending", node(n))
            }
            Self::StoreData { node: n } => {
                write!(f, "{}: store_data commits: an invalidation of the record is pending", node(n))
            }
            Self::Sweep { node: n } => write!(f, "{}: sweep reads what is pending", node(n)),
            Self::Delete { node: n, process } => write!(f, "{}: invalidate: delete at R{process}", node(n)),
            Self::Status { node: n, found } => write!(f, "{}: invalidate: fence status: {found}", node(n)),
            Self::Swept { node: n, yes } => {
                write!(f, "{}: invalidate: swept: {}", node(n), if yes { "nothing is pending: 2xx" } else { "not yet" })
            }
            Self::Remove { node: n } => write!(f, "{}: invalidate: remove what was pending: 2xx", node(n)),
            Self::GiveUp { node: n } => write!(f, "{}: invalidate gives up: 503", node(n)),
            _ => Ok(()),
        }
    }

    fn of_the_world(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Enroll { node: n, process, found } => {
                write!(f, "{}: connects to R{process}; enroll: {found}", node(n))
            }
            Self::Commit { node: n, process } => {
                write!(f, "{}: enroll of R{process} is committed: its predecessor is retired", node(n))
            }
            Self::DateRetirements => write!(f, "date_retirements: the time of the retirement is noted"),
            Self::RenewLeases { node: n } => write!(f, "{}: renew reads live_store and trusts for a lease", node(n)),
            Self::Outage { node: n, process } => {
                write!(f, "{}: renew, SQL DOES NOT ANSWER it; R{process} stands alone and is still trusted", node(n))
            }
            Self::Tick => write!(f, "TIME: a lease passes"),
            Self::Evict { process, token } => write!(f, "EVICTION or expiry of t{token} at R{process}"),
            Self::Copy { process } => write!(f, "SNAPSHOT or replica: has what R{process} holds now"),
            Self::Restart { process, successor, with } => {
                write!(f, "RESTART: R{process} dies, R{successor} takes its place with {with}")
            }
            Self::Promote { successor } => {
                write!(f, "FAILOVER: the replica is promoted: R{successor}; the old master lives on")
            }
            Self::Disconnect { node: n, process } => write!(f, "{}: LOSES its connection to R{process}", node(n)),
            Self::Crash { node: n } => write!(f, "{}: CRASHES", node(n)),
            _ => Ok(()),
        }
    }
}
