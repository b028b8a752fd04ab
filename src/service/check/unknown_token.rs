//! Unknown token: a token that opens no session, and its origin.
//!
//! Owns the report of very many of them: one log line for each address and minute, and their count in the audit log. Must
//! never refuse a request: 128 random bits and a signature cannot be guessed, and a limit would hit the neighbours behind
//! the same address.

use std::net::IpAddr;

use crate::domain::event::Event;
use crate::domain::throttle::subscriber;
use crate::service::check::Check;
use crate::service::check::probing::{Report, WINDOW};

impl Check {
    /// Notes that a token from this address, of which `fingerprint` is a hash of this process' own, opens no session.
    pub fn note_unknown_token(&self, from: IpAddr, fingerprint: u64) {
        let from = subscriber(from);
        match self.probing.note(from, fingerprint, self.core.clock().now()) {
            Report::Nothing => {}
            Report::First => {
                let (name, limit) = (Event::TokenFail.name(), WINDOW.limit);
                log::warn!(
                    target: "sessiond::security",
                    "event={name} request=- ip={from} user=- session=-: more than {limit} different unknown session \
                     tokens within a minute"
                );
                self.audit.note_unknown_tokens(from, u64::from(limit) + 1);
            }
            Report::More => self.audit.note_unknown_tokens(from, 1),
        }
    }
}
