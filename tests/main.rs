//! All tests that use sessiond from outside, in one program: it is built and linked once.
//!
//! Each folder says in its `mod.rs` what it shows. cargo-nextest runs every test in a process of its own.

#[cfg(test)]
mod api;
#[cfg(test)]
mod arrows;
#[cfg(test)]
mod asvs;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod contracts;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod races;
#[cfg(test)]
mod readme;
#[cfg(test)]
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "some of it is only for tests with PostgreSQL"))]
mod support;
#[cfg(test)]
mod support_selftest;
#[cfg(test)]
mod webhook;
