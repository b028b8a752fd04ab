//! Promises of the README, one module each, shown on real server processes.
//!
//! P1 and P2 have more to them: the races in `tests/races`, the contracts in `tests/contracts`. P6 and P7 are shown
//! over the whole interface in `tests/api`.

#[cfg(feature = "postgres")]
mod origin;
mod p1_no_resurrection;
mod p2_no_mass_logout;
mod p3_fail_closed_and_honestly;
mod p4_a_login_flood_stays_a_login_flood;
mod p5_no_crossed_wires;
