//! Several server processes on the same stores: what holds on one node holds on all, and over restarts.

mod agreement;
mod clocks;
mod disabling;
mod embedded;
mod events;
mod production;
