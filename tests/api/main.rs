//! The interface over HTTP: the real server in this process on a port of its own, asked as clients ask it, on SQLite
//! alone and on PostgreSQL with Redis.
//!
//! One file for each idea. Only what is about Redis runs on one backend.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod admin_routes;
#[cfg(test)]
mod admin_sessions;
#[cfg(test)]
mod administration;
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod client_address;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod cookies;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod current;
#[cfg(test)]
mod databases;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod deletion;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod device_change;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod embedding;
#[cfg(test)]
mod enumeration;
#[cfg(test)]
mod event_limits;
#[cfg(test)]
mod events;
#[cfg(test)]
mod forgery;
#[cfg(test)]
mod half_close;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod hot_path;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod locations;
#[cfg(test)]
mod log_lines;
#[cfg(test)]
mod mailboxes;
#[cfg(test)]
mod old_tokens;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod password_gate;
#[cfg(test)]
mod passwords;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod people;
#[cfg(test)]
mod present_place;
#[cfg(test)]
mod probing;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod real_seconds;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod risk;
#[cfg(test)]
mod second_attempts;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod slips;
#[cfg(test)]
mod step_up;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod throttle;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod travel;
#[cfg(test)]
mod ways_in;
