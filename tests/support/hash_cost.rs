//! What hashing a password costs in this test.
//!
//! Owns the choice. `tests/run` makes hashes cheap, because most tests sign in only to test something else. A test
//! about hashing (how long it takes, who waits for it, what is stored), and a race that is run into a
//! hash, must ask for the full cost before anything is hashed.

use std::process::Command;

/// Every hash of this test costs what it costs users, in processes that it starts, too.
pub fn full() {
    #[cfg(feature = "fault-points")]
    sessiond::domain::password::hash_at_full_cost();
}

/// Has a process hash as this test does.
pub fn pass_on(command: &mut Command) {
    #[cfg(feature = "fault-points")]
    if sessiond::domain::password::is_cheap() {
        command.env(sessiond::domain::password::CHEAP_VARIABLE, "1");
    }
    #[cfg(not(feature = "fault-points"))]
    let _ = command;
}
