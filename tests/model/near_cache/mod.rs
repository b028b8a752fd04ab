//! The near cache as a checked model: the promise that a revoked session is never answered yes, over every order of
//! renewals, fills, messages and faults within small bounds, and what happens without each guard.
//!
//! Owns the second model of this package: node leases, copies in memory, and the revocation that waits for both. The
//! first model owns the stamps and the fence of Redis. Must follow the code where the code changes its order.

mod action;
mod fill;
pub mod guards;
mod node;
mod promises;
mod protocol;
mod renewal;
mod revocation;
mod state;
mod without;
mod world;
