//! Races: two things at once, dozens of times, on SQLite alone and on PostgreSQL with Redis. Zero violations.
//!
//! 30 rounds, 6 of those that hash passwords, and 1 000 of each with `tests/run --soak`.

mod embedded_application;
mod epoch;
mod first_reads;
mod locks;
mod password;
mod reauthentication;
mod record;
mod revocation;
mod session_limit;
mod windows;

/// Rounds of a race that hashes no password.
fn rounds() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000 } else { 30 }
}

/// Rounds of a race that hashes passwords.
fn hashing_rounds() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000 } else { 6 }
}

/// The limit of an address where a thousand rounds come from one: an operator would raise it, too.
const ENOUGH: &str = "1000000";
