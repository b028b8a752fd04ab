//! The contracts of the two memories, against real servers: the ledger on SQLite and PostgreSQL, the records on
//! Redis of every shape.

#[cfg(test)]
mod attempt_counters;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fence;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod lineage;
#[cfg(test)]
mod listening;
#[cfg(test)]
mod markers;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod records;
#[cfg(test)]
mod search;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod shards;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod world;
