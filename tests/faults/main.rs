//! The promises under faults: real servers, killed, cut off, deposed and brought back.

#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod topologies;
