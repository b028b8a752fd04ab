//! What all tests share: private servers to test against, and clients that talk to them.
//!
//! Owns the starting and stopping of everything that a test needs outside of its own process. Must never
//! skip a test because something is missing (it panics with one sentence that names `tests/run`), never
//! touch a server that it did not start, and never hold an assertion about sessiond itself.

pub mod back_end;
pub mod client;
pub mod crowd;
pub mod database;
pub mod events;
pub mod gateway;
pub mod hash_cost;
pub mod issue;
pub mod mmdb;
pub mod monitor;
pub mod node;
pub mod old_tokens;
pub mod played;
pub mod ports;
pub mod postgres_server;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod record;
pub mod redis;
pub mod requests;
pub mod server;
pub mod service;
pub mod settings;
pub mod tls;
pub mod topologies;
pub mod wait;
pub mod wall;
