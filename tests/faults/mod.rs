//! The promises under faults: real servers, killed, cut off, deposed and brought back.

mod balancers;
mod by_filter;
mod database;
mod embedded;
mod frozen;
mod hanging_up;
mod judge;
#[cfg(feature = "fault-points")]
mod killed;
mod last_seen;
mod lease;
mod linear;
mod losses;
mod memory;
mod mixer;
mod near_cache;
mod promoted;
mod rebuild;
mod recovery;
mod refusals;
mod restored;
mod restored_at_once;
mod restored_files;
mod returned;
mod shards;
mod silence;
mod slow_revoke;
mod topologies;
mod trouble;
