//! The protocol as a checked model: P1 and P2 over every order of steps and faults within small bounds, and what
//! happens without each guard.
//!
//! Owns the tests. The steps bear the names of the code's methods; where the code changes its order, the model has to
//! follow. With SESSIOND_TEST_SOAK=1 the bounds are larger (minutes). The numbers of states are printed: run with
//! `--nocapture`. The search is our own: stateright 0.31 brings a web server that cannot be switched off.

#[cfg(test)]
mod action;
#[cfg(test)]
mod change;
#[cfg(test)]
mod checker;
#[cfg(test)]
mod fence;
#[cfg(test)]
mod fill;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod near_cache;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod state;
#[cfg(test)]
mod table;
#[cfg(test)]
mod without;
#[cfg(test)]
mod world;
