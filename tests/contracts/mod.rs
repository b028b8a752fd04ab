//! The contracts of the two memories, against real servers: the ledger on SQLite and PostgreSQL, the records on
//! Redis of every shape.

mod attempt_counters;
mod faults;
mod fence;
mod leases;
mod ledger;
mod lineage;
mod listening;
mod markers;
mod outbox;
mod plans;
mod records;
mod search;
mod shapes;
mod shards;
mod world;
