//! A token that opens no session, and where it came from.
//!
//! Owns what is said about it: to the log once for each address and minute, to the caller whether there were too many. Must
//! never be asked about a token that opens one.

use std::net::IpAddr;

use super::probing::{Judgement, WINDOW};
use super::{App, Quota, Throttled};
use crate::domain::throttle::subscriber;

impl App {
    /// Notes that a token from this address, of which `fingerprint` is a hash of this process' own, opens no session.
    /// Refused when there were too many.
    pub fn note_unknown_token(&self, from: IpAddr, fingerprint: u64) -> Result<(), Throttled> {
        let now = self.clock().now();
        let judgement = self.shared.probing.note(subscriber(from), fingerprint, now);
        if judgement == Judgement::First {
            log::warn!("more than {} different unknown session tokens within a minute from {from}", WINDOW.limit);
        }
        if judgement == Judgement::Fine {
            return Ok(());
        }
        let quota = Quota { name: "unknown-tokens", limit: WINDOW.limit, window: WINDOW.length };
        Err(Throttled { quota, retry_after: WINDOW.rest(now), stopped: false })
    }
}
