//! The webhook, against a real receiver: what is told, that it arrives whatever happens, and what a bad receiver can do.

mod commands;
mod delivery;
mod nodes;
mod receiver;
mod refusals;
mod tls;
