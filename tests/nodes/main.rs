//! Several server processes on the same stores: what holds on one node holds on all, and over restarts.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod disabling;
#[cfg(test)]
mod embedded;
#[cfg(test)]
mod events;
#[cfg(test)]
mod production;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
