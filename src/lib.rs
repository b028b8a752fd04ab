//! sessiond: a stateful session server. A browser holds only an opaque random token; the server holds the session,
//! shows it to its owner, and can end it at any instant.
//!
//! # The layers
//!
//! A request passes four layers and returns. Four nouns answer four questions: *which rule?* [`domain`].
//! *What happens?* [`service`]. *What is remembered?* [`live`] and [`ledger`]. *Over the wire?* [`http`].
//!
//! ```text
//! main ─► cli ─► server ─► http ─► service ─► live    ledger    webhook
//!                            │        │         │        │         │
//!                            └────────┴─────────┴────────┴─────────┴──► domain ─► (nothing of ours)
//! ```
//!
//! # Two memories, one authority
//!
//! SQL holds what must never be lost ([`ledger`]); Redis holds what must be read in microseconds ([`live`]).
//! Redis may only say yes; only the ledger says no. Without Redis every check reads the ledger, on the same path.
//!
//! # One request's journey
//!
//! sessiond verifies the cookie's signature, hashes the token, and sends one `GETEX`. If the record's stamp is the
//! stamp of the connection it came over, and its owner and both deadlines hold, the record is the answer. Otherwise
//! there is a *fill*: take a lease on the record's key, read the ledger, write the record over that same lease. A
//! revocation ends the row and adds a pending invalidation in one transaction, deletes the record (and with it any
//! lease), reads in SQL that the Redis process it deleted from is the valid one, and only then answers 2xx.

pub mod cli;
pub mod config;
pub mod domain;
mod fault_point;
pub mod http;
pub mod ledger;
pub mod live;
pub mod server;
pub mod service;
pub mod telemetry;
pub mod webhook;
