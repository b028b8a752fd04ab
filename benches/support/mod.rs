//! What the benchmarks share: private servers, a load, and figures from the operating system.
//!
//! Must never talk to a server that it did not start, and never judge a figure: benchmarks tell, tests judge.

pub mod child;
pub mod copies;
pub mod cpu;
pub mod figures;
pub mod load;
pub mod place;
pub mod population;
pub mod proxy;
pub mod ranks;
pub mod redis;
pub mod server;
pub mod sign_ins;
pub mod zipf;
