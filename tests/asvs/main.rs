//! OWASP ASVS 5.0 as a client can check it: one file for each chapter, each test named by the row that it shows.
//!
//! The tables in `docs/asvs/` say what is met, what does not apply and what is not met. Must never hold a test that is
//! about no row.

#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod v6;
#[cfg(test)]
mod v7;
