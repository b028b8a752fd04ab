//! sessiond: a stateful session server. A browser holds nothing but an opaque random token; the server holds the
//! session, shows it to its owner, and can end it at any instant.
//!
//! # The layers
//!
//! A request falls through four layers and comes back. Four nouns answer four questions: *which rule?* [`domain`].
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
//! Redis may only say yes; only the ledger says no. Without Redis every check reads the ledger, by the same path.
//!
//! # One request's journey
//!
//! The cookie's signature is verified, the token hashed, and one `GETEX` sent. If the record's stamp is the stamp
//! of the connection it came over, and its owner and both deadlines hold, that is the answer. Anything else is a
//! *fill*: take a lease in the record's place, read the ledger, put the record over that very lease. A revocation
//! ends the row and notes the record as unconfirmed in one transaction, deletes the record (and with it any lease),
//! reads in SQL that the Redis process it deleted from is the one that may speak, and only then answers 2xx.

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
