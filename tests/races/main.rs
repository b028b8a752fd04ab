//! Races: two things at once, dozens of times, on SQLite alone and on PostgreSQL with Redis. Zero violations.
//!
//! 30 rounds, 6 of those that hash passwords, and 1 000 of each with `tests/run --soak`.

#[cfg(test)]
mod embedded_application;
#[cfg(test)]
mod epoch;
#[cfg(test)]
mod first_reads;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod password;
#[cfg(test)]
mod reauthentication;
#[cfg(test)]
mod record;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod session_limit;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod windows;

/// Rounds of a race that hashes no password.
#[cfg(test)]
fn rounds() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000 } else { 30 }
}

/// Rounds of a race that hashes passwords.
#[cfg(test)]
fn hashing_rounds() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000 } else { 6 }
}

/// The limit of an address where a thousand rounds come from one: an operator would raise it, too.
#[cfg(test)]
const ENOUGH: &str = "1000000";
