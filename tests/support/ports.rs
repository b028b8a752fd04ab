//! Ports: numbers that a test server may listen on, and still has after a restart.
//!
//! Owns the choice. Must never hand out an ephemeral port (32768 and up on Linux): between the kill and the
//! restart of a server, the system could give such a port to an outgoing connection of another test.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

const RANGE: Range<u16> = 20_000..32_000;

/// A port on 127.0.0.1 that nobody listens on at this moment. Whoever takes it must be ready to lose the race
/// for it and ask again.
pub fn free_port() -> u16 {
    (0..1_000)
        .map(|_| candidate())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("no free port between 20000 and 32000")
}

fn candidate() -> u16 {
    let span = u64::from(RANGE.end - RANGE.start);
    RANGE.start + u16::try_from(random() % span).expect("the span fits a port")
}

/// A number that no other test process has drawn; good for names, never for secrets.
pub fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
