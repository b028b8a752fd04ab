//! The webhook, against a real receiver: what is told, that it arrives whatever happens, and what a bad receiver can do.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod refusals;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod tls;
