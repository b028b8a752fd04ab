//! Promises of the README, one module each, shown on real server processes.
//!
//! P1 and P2 have more to them: the races in `tests/races`, the contracts in `tests/contracts`. P6 and P7 are shown
//! over the whole interface in `tests/api`.

#[cfg(test)]
mod p1_no_resurrection;
#[cfg(test)]
mod p2_no_mass_logout;
#[cfg(test)]
mod p3_fail_closed_and_honestly;
#[cfg(test)]
mod p4_a_login_flood_stays_a_login_flood;
#[cfg(test)]
mod p5_no_crossed_wires;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
