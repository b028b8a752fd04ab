//! Live: the records of live sessions, in Redis, which every request reads. Must never hold data that cannot be lost.
//!
//! Redis may only say yes. All content is a cache that the ledger can fill again at any time; every answer that is not
//! plainly yes is a doubt ([`Doubt`]), and the caller asks the ledger.
//!
//! Four words:
//!
//! - A **record** ([`Record`]) is one line of text under `{prefix}session:{token hash}`.
//! - A **stamp** is eight random bytes that the ledger gave to one Redis process ([`Fence`]). A record carries the
//!   stamp of the process that it was written to, and is trusted only when it is read from that process, while the
//!   ledger still allows it ([`StoreLease`]). So a record that a restart, a restored backup or a promoted replica
//!   brings back is a doubt, not a session. The stamp belongs to the connection; a connection never reconnects.
//! - A **lease** ([`Lease`]) is a nonce that a node puts in a record's place before it reads the ledger.
//! - A **fill** is [`Live::take`], then the ledger, then [`Live::put`], which stores the record only over that very
//!   nonce. A revocation in between deletes the nonce, so a fill that read the ledger too early stores nothing.
//!
//! Besides the records there is one **marker** for each ledger ([`Marker`]): how far its history was seen to come, so
//! that an older copy of it is recognised. And there are **counters** of password attempts, which are no records: a
//! node goes on without them.
//!
//! The layer must never: create a record without a lease, store anything without a time to live, touch two keys in one
//! command, wait without a time limit, reconnect behind a connection's back, or hold a token. It knows nothing of SQL,
//! and no type of the Redis client leaves it.
//!
//! It needs Redis 6.2 or later (`GETEX`), and the right to these commands: `INFO`, `GETEX`, `GET`, `SET`, `DEL`,
//! `EVALSHA`, `SCRIPT LOAD`, `PUBLISH`, `SUBSCRIBE`, `PING`, `UNWATCH`; for counters `HGETALL`, `HSETNX`, `HDEL`,
//! `INCRBY`, `PEXPIRE`; in a cluster `CLUSTER NODES`, `SLOTS` and `INFO`; of Sentinels `SENTINEL
//! GET-MASTER-ADDR-BY-NAME`; it also sends `CLIENT SETINFO`, but can go without.

mod address;
mod attempt_counters;
mod channel;
mod cluster;
mod connection;
mod contract;
mod error;
mod fault;
mod flags;
mod hash_slot;
mod key;
mod listener;
mod manager;
mod marker;
mod near_channel;
mod pipeline;
mod process;
mod record;
mod route;
mod sentinel;
mod settings;
mod store;
mod store_lease;
mod worker_connection;

pub use contract::{Doubt, Lease, Seen, SeenRecord, Taken};
pub use error::LiveError;
pub use listener::Listener;
pub use marker::Marker;
pub use near_channel::{Acknowledgement, DropRequest, NearListener};
pub use record::{NewRecord, Record};
pub use settings::LiveConfig;
pub use store::Live;
pub use store_lease::{Enrolled, Fence, FenceError, StoreLease};
