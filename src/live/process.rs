//! Process: which Redis process is at the other end of a connection, from its `INFO`.
//!
//! Owns the parsing of `INFO`. Must never guess: a text with a missing or misspelled field names no process, and then
//! there is no connection.

use crate::domain::{Shard, Slots};

/// The content of `INFO replication`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replication {
    /// Whether it is a master.
    pub master: bool,
    /// Its replication id.
    pub replid: String,
    /// Whether it has had no replica under this replication id.
    pub solo: bool,
}

impl Replication {
    /// Parses the section; none when a field is missing or misspelled.
    pub(super) fn parse(info: &str) -> Option<Self> {
        let replicas: u32 = field(info, "connected_slaves")?.parse().ok()?;
        // The first replica draws a new id and opens the backlog; closing the backlog draws a new id again. So a master
        // without a backlog has never had a replica under its id, not even one that is cut off by now.
        let backlog = field(info, "repl_backlog_active")? != "0";
        Some(Self {
            master: field(info, "role")? == "master",
            replid: id(info, "master_replid")?,
            solo: replicas == 0 && !backlog,
        })
    }
}

/// The `run_id` in `INFO server`.
pub(super) fn run_id(info: &str) -> Option<String> {
    id(info, "run_id")
}

/// The eviction policy in `INFO memory`, if it may evict keys that must be kept: any policy, except one that evicts
/// nothing, or the key that expires soonest.
pub(super) fn evicting(info: &str) -> Option<&str> {
    let policy = field(info, "maxmemory_policy")?;
    let limited = field(info, "maxmemory").is_some_and(|limit| limit != "0");
    (limited && !matches!(policy, "noeviction" | "volatile-ttl")).then_some(policy)
}

/// Whether `INFO server` comes from a node of a cluster.
pub(super) fn is_cluster(info: &str) -> bool {
    field(info, "redis_mode") == Some("cluster")
}

/// From `CLUSTER INFO`: whether the node sees a complete cluster, and the latest epoch that it knows.
pub(super) fn cluster_state(info: &str) -> Option<(bool, u64)> {
    Some((field(info, "cluster_state")? == "ok", field(info, "cluster_current_epoch")?.parse().ok()?))
}

/// The slots of the node that answered `CLUSTER NODES`; none when it is no master, or has no slots.
pub(super) fn shard(nodes: &str) -> Option<Shard> {
    let names = |line: &str| Some((line.split(' ').next()?.to_owned(), flags(line)?.any(|flag| flag == "myself")));
    let names: Vec<_> = nodes.lines().map(names).collect::<Option<_>>()?;
    let own = nodes.lines().find(|line| flags(line).is_some_and(|mut flags| flags.any(|flag| flag == "myself")))?;
    if !flags(own)?.any(|flag| flag == "master") {
        return None;
    }
    // id, address, flags, master, ping, pong, epoch, link, slots; a migrating slot is in brackets.
    let mut fields = own.split(' ');
    let node = fields.next()?.to_owned();
    let epoch = fields.nth(5)?.parse().ok()?;
    let ranges = fields.skip(1).filter(|range| !range.is_empty() && !range.starts_with('['));
    let slots = Slots::new(ranges.map(Slots::range).collect::<Option<Vec<_>>>()?)?;
    let peers = names.into_iter().filter(|(_, myself)| !myself).map(|(name, _)| name).collect();
    (!slots.is_empty()).then_some(Shard { node, peers, slots, epoch })
}

fn flags(line: &str) -> Option<impl Iterator<Item = &str>> {
    line.split(' ').nth(2).map(|flags| flags.split(','))
}

/// A Redis identifier: 40 hexadecimal digits.
fn id(info: &str, name: &str) -> Option<String> {
    let id = field(info, name)?;
    let spelled = id.len() == 40 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    spelled.then(|| id.to_owned())
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SERVER: &str = "# Server\r\nredis_version:7.0.15\r\n\
        run_id:0b7f3d0a9d4c0d9d3f5c1c0b7f3d0a9d4c0d9d3f\r\ntcp_port:6379\r\n";

    const ALONE: &str = "# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n\
        master_replid:1111111111111111111111111111111111111111\r\n\
        master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:0\r\nrepl_backlog_active:0\r\n";

    #[test]
    fn a_master_alone() {
        let expected = Replication { master: true, replid: "1".repeat(40), solo: true };
        assert_eq!(Replication::parse(ALONE), Some(expected));
        assert_eq!(run_id(SERVER).as_deref(), Some("0b7f3d0a9d4c0d9d3f5c1c0b7f3d0a9d4c0d9d3f"));
    }

    #[test]
    fn a_master_that_has_or_had_a_replica_is_not_alone() {
        for text in [
            ALONE.replace("connected_slaves:0", "connected_slaves:1"),
            ALONE.replace("backlog_active:0", "backlog_active:1"),
        ] {
            assert!(!Replication::parse(&text).unwrap().solo);
        }
    }

    #[test]
    fn only_a_master_is_a_master() {
        for role in ["role:slave", "role:master2", "role:", "role:MASTER"] {
            assert!(!Replication::parse(&ALONE.replace("role:master", role)).unwrap().master, "{role}");
        }
    }

    #[test]
    fn what_is_missing_is_not_guessed() {
        for name in ["role", "connected_slaves", "master_replid", "repl_backlog_active"] {
            assert_eq!(Replication::parse(&ALONE.replace(&format!("{name}:"), "x:")), None, "{name}");
        }
        assert_eq!(Replication::parse(&ALONE.replace("111", "11")), None);
        assert_eq!(run_id(&SERVER.replace("run_id", "runid")), None);
        assert_eq!(run_id(&SERVER.replace("0b7f", "0B7F")), None);
    }

    #[test]
    fn a_policy_counts_where_there_is_a_limit() {
        let told = |limit: &str, policy: &str| format!("maxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
        assert_eq!(evicting(&told("1048576", "allkeys-lru")), Some("allkeys-lru"));
        assert_eq!(evicting(&told("1048576", "volatile-lfu")), Some("volatile-lfu"));
        for (limit, policy) in [("0", "allkeys-lru"), ("1048576", "noeviction"), ("1048576", "volatile-ttl")] {
            assert_eq!(evicting(&told(limit, policy)), None, "{limit} {policy}");
        }
        assert_eq!(evicting(""), None);
    }

    const NODES: &str = "aaa 127.0.0.1:7001@17001 master - 0 1 5 connected 5461-10922\n\
        bbb 127.0.0.1:7000@17000,host myself,master - 0 0 1 connected 0-5459 5460 [5461-<-aaa] [7->-aaa]\n\
        ccc 127.0.0.1:7002@17002 slave,fail bbb 0 1 1 disconnected\n";

    #[test]
    fn a_node_tells_what_it_serves() {
        let slots = Slots::parse("0-5460").unwrap();
        let peers = vec!["aaa".to_owned(), "ccc".to_owned()];
        assert_eq!(shard(NODES), Some(Shard { node: "bbb".to_owned(), peers, slots, epoch: 1 }));
        for other in [
            NODES.replace("myself,master", "myself,slave"),
            NODES.replace("0-5459 5460 ", ""),
            NODES.replace("0-5459", "0-x"),
            NODES.replace("0 0 1 ", "0 0 x "),
            NODES.replace("myself,", ""),
            String::new(),
        ] {
            assert_eq!(shard(&other), None, "{other}");
        }
        assert!(is_cluster("redis_mode:cluster\r\n") && !is_cluster("redis_mode:standalone\r\n"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_names_no_process(text in any::<String>()) {
            prop_assert_eq!(Replication::parse(&text), None);
            prop_assert_eq!(run_id(&text), None);
            prop_assert_eq!(shard(&text), None);
        }
    }
}
