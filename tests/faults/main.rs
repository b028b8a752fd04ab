//! The promises under faults: real servers, killed, cut off, deposed and brought back.

#[cfg(test)]
mod balancers;
#[cfg(test)]
mod by_filter;
#[cfg(test)]
mod database;
#[cfg(test)]
mod embedded;
#[cfg(test)]
mod frozen;
#[cfg(test)]
mod hanging_up;
#[cfg(test)]
mod judge;
#[cfg(test)]
#[cfg(feature = "fault-points")]
mod killed;
#[cfg(test)]
mod last_seen;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod linear;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod mixer;
#[cfg(test)]
mod promoted;
#[cfg(test)]
mod rebuild;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod restored_at_once;
#[cfg(test)]
mod restored_files;
#[cfg(test)]
mod returned;
#[cfg(test)]
mod shards;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod slow_revoke;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod topologies;
#[cfg(test)]
mod trouble;
