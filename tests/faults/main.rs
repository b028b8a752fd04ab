//! The promises under faults: real servers, killed, cut off, deposed and brought back.

#[cfg(all(test, feature = "fault-points"))]
mod killed;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod topologies;
