//! The interface over HTTP: the real server in this process on a port of its own, asked as clients ask it, on SQLite
//! alone and on PostgreSQL with Redis.
//!
//! One file for each idea. Only what is about Redis runs on one backend.

mod accounts;
mod admin_routes;
mod admin_sessions;
mod administration;
mod alerts;
mod audit;
mod bodies;
mod client_address;
mod clients;
mod commands;
mod cookies;
mod cors;
mod current;
mod databases;
mod deadlines;
mod deletion;
mod deployment;
mod device_change;
mod documented;
mod embedding;
mod enumeration;
mod event_limits;
mod events;
mod forgery;
mod half_close;
mod headers;
mod hot_path;
mod invariants;
mod locations;
mod log_lines;
mod mailboxes;
mod moving;
mod old_tokens;
mod outages;
mod password_gate;
mod passwords;
mod paths;
mod people;
mod present_place;
mod probing;
mod programs;
mod real_seconds;
mod retention;
mod risk;
mod second_attempts;
mod secrets;
mod service_secrets;
mod services;
mod slips;
mod step_up;
mod throttle;
pub mod tools;
mod travel;
mod ways_in;
