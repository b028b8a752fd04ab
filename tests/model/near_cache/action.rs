//! The steps of the near cache by name, as a counterexample tells them.
//!
//! Owns the spelling. What nobody does on purpose is in capitals.

use std::fmt::{self, Display, Formatter};

use super::state::{Redis, Server};

/// One step, and the node that takes it.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    pub node: Option<u8>,
    pub what: What,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    Ask { copies: bool },
    Renew { copies: bool, server: Server, in_time: bool },
    ReadPendingFirst { seen: bool },
    RenewedNothing,
    ReadPending { server: Server, seen: bool },
    TooManyPending,
    Apply { server: Server, new_epoch: bool, drops: bool, grants: bool },
    TooLate,
    GiveUp { copies: bool },
    GivenUpCommits { copies: bool },
    GivenUpChangesNothing,
    LeaseEnds,
    StopCopies,
    RowIsOver,
    ClockSteps,
    RowIsDeleted,
    Restart,
    Begin,
    ReadRecord(Redis),
    Keep,
    Take(Redis),
    Lend(Server),
    ReadLedger { server: Server, yes: bool },
    Refused,
    Put(Redis),
    Evict(Redis),
    End { server: Server, own: bool },
    Watched(Server),
    Delete(Redis),
    ReadHolders { server: Server, waits: bool },
    StoreLeaseIsOver,
    DropAndAcknowledge,
    Confirm(&'static str),
    StartOver,
    Tell,
    SweptByAnother,
    FailOver { loses: bool },
    Switch,
    Retire,
    ExtendedByOldPrimary,
}

fn server(server: Server) -> &'static str {
    match server {
        Server::Old => "the first primary",
        Server::New => "the new primary",
    }
}

fn redis(redis: Redis) -> &'static str {
    match redis {
        Redis::Old => "R0",
        Redis::New => "R1",
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(0) => write!(f, "node A: "),
            Some(_) => write!(f, "node B: "),
            None => Ok(()),
        }?;
        match self.what {
            What::Begin
            | What::ReadRecord(_)
            | What::Keep
            | What::Take(_)
            | What::Lend(_)
            | What::ReadLedger { .. }
            | What::Refused
            | What::Put(_)
            | What::Evict(_) => self.what.of_a_fill(f),
            What::End { .. }
            | What::Watched(_)
            | What::Delete(_)
            | What::ReadHolders { .. }
            | What::StoreLeaseIsOver
            | What::DropAndAcknowledge
            | What::Confirm(_)
            | What::StartOver
            | What::Tell
            | What::SweptByAnother => self.what.of_a_revocation(f),
            _ => self.what.of_a_lease(f),
        }
    }
}

impl What {
    fn of_a_lease(self, f: &mut Formatter<'_>) -> fmt::Result {
        let allows = |copies| if copies { "with copies" } else { "without copies" };
        match self {
            Self::Ask { copies } => write!(f, "asks for a renewal {}", allows(copies)),
            Self::Renew { copies, server: at, in_time } => {
                let answer = if in_time { "" } else { "; its answer comes TOO LATE" };
                write!(f, "renew, {}, is committed on {}{answer}", allows(copies), server(at))
            }
            Self::ReadPendingFirst { seen } => {
                write!(
                    f,
                    "renew reads what is pending before it commits: {}",
                    if seen { "the session" } else { "nothing" }
                )
            }
            Self::RenewedNothing => write!(f, "renew finds no row: the node begins anew under another name"),
            Self::ReadPending { server: at, seen } => {
                write!(
                    f,
                    "renew reads what is pending on {}: {}",
                    server(at),
                    if seen { "the session" } else { "nothing" }
                )
            }
            Self::TooManyPending => write!(f, "renew reads nothing: TOO MANY are pending"),
            Self::Apply { server: by, new_epoch, drops, grants } => {
                let copies = match (new_epoch, drops) {
                    (true, _) => "a new epoch begins",
                    (_, true) => "the copy is dropped",
                    _ => "the copies stay",
                };
                write!(f, "apply, {}, by {}: {copies}", allows(grants), server(by))
            }
            Self::TooLate => write!(f, "the answer to the renewal comes TOO LATE and is thrown away"),
            Self::GiveUp { copies } => write!(f, "GIVES UP a renewal {} that may still arrive", allows(copies)),
            Self::GivenUpCommits { copies } => {
                write!(f, "the renewal {} that was given up IS COMMITTED", allows(copies))
            }
            Self::GivenUpChangesNothing => write!(f, "the renewal that was given up arrives and changes nothing"),
            Self::LeaseEnds => write!(f, "TIME: its lease ends"),
            Self::StopCopies => write!(f, "stop_copies: its channel is LOST, or it stops"),
            Self::RowIsOver => write!(f, "its row has stood still for a lease"),
            Self::ClockSteps => write!(f, "its row is over because the database's clock STEPS"),
            Self::RowIsDeleted => write!(f, "its row is deleted"),
            Self::Restart => write!(f, "DIES and restarts under a new name"),
            Self::FailOver { loses } => {
                let loses = if loses { " and lacks the last renewals" } else { "" };
                write!(f, "FAILOVER: the standby is promoted{loses}; the first primary lives on")
            }
            Self::Switch => write!(f, "SWITCH: R1 takes the place of R0, which lives on"),
            Self::Retire => write!(f, "its trust in R0 ends"),
            Self::ExtendedByOldPrimary => write!(f, "reads live_store on the first primary: R0 may speak"),
            _ => Ok(()),
        }
    }

    fn of_a_fill(self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin => write!(f, "begin: a check notes the mark and the epoch"),
            Self::ReadRecord(at) => write!(f, "the check reads the record at {}: yes", redis(at)),
            Self::Keep => write!(f, "keep: the answer becomes a copy"),
            Self::Take(at) => write!(f, "a fill takes its nonce at {}", redis(at)),
            Self::Lend(at) => write!(f, "the fill gets a connection to {}", server(at)),
            Self::ReadLedger { server: at, yes } => {
                write!(f, "find_live reads {}: {}", server(at), if yes { "live" } else { "not live" })
            }
            Self::Refused => write!(f, "the answer is refused: no lease of that server runs"),
            Self::Put(at) => write!(f, "put: the record stands at {}", redis(at)),
            Self::Evict(at) => write!(f, "EVICTION at {}", redis(at)),
            _ => Ok(()),
        }
    }

    fn of_a_revocation(self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::End { server: at, own } => {
                write!(f, "end commits on {}{}", server(at), if own { ", on this node" } else { "" })
            }
            Self::Watched(at) => write!(f, "invalidate: {} was watched for a lease", server(at)),
            Self::Delete(at) => write!(f, "invalidate: DEL at {}", redis(at)),
            Self::ReadHolders { server: at, waits } => {
                let holders = if waits { "holders are asked" } else { "no holder" };
                write!(f, "invalidate: reads the leases on {}: {holders}", server(at))
            }
            Self::StoreLeaseIsOver => write!(f, "invalidate: no node trusts R0 any more"),
            Self::DropAndAcknowledge => write!(f, "drops the copy and acknowledges"),
            Self::Confirm(why) => write!(f, "is confirmed: {why}"),
            Self::StartOver => write!(f, "invalidate starts over"),
            Self::Tell => write!(f, "invalidate: remove what was pending: 2xx"),
            Self::SweptByAnother => write!(f, "ANOTHER PROGRAM, which does not wait, removes what is pending"),
            _ => Ok(()),
        }
    }
}
