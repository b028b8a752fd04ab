//! Address: the parsed Redis URL.
//!
//! Owns [`Topology`] and [`Node`]. Must never show a URL: it may contain a password.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError};

use super::LiveError;

const FORMS: &str = "expected redis://[user:password@]host[:port][/database] (rediss:// for TLS), several of these \
    separated by commas for a cluster, or redis+sentinel://[user:password@]host[:port],…[/database]?service=name";

/// A Sentinel's port when the URL names none.
const SENTINEL_PORT: u16 = 26_379;

/// A server's host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

/// What the URL names.
pub(super) enum Topology {
    /// One server.
    Server(ConnectionInfo),
    /// Sentinels, which know the master.
    Sentinels {
        /// How to connect to each of them.
        sentinels: Vec<ConnectionInfo>,
        /// The service name of the master.
        service: String,
        /// How to connect to the master, except its address.
        master: ConnectionInfo,
    },
    /// Some nodes of a cluster.
    Cluster(Vec<ConnectionInfo>),
}

impl Topology {
    /// Parses a URL; connects to nothing.
    pub(super) fn parse(url: &str) -> Result<Self, LiveError> {
        match url.split_once("://") {
            Some(("redis+sentinel", rest)) => sentinels("redis", rest),
            Some(("rediss+sentinel", rest)) => sentinels("rediss", rest),
            _ if url.contains(',') => cluster(url),
            _ => server(url).map(Self::Server),
        }
    }
}

/// How to connect to `node`, with the other settings of `like`.
pub(super) fn at(like: &ConnectionInfo, node: &Node) -> ConnectionInfo {
    let Node { host, port } = node.clone();
    let address = match like.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    like.clone().set_addr(address)
}

/// The address; none when it is not a network address.
pub(super) fn node(info: &ConnectionInfo) -> Option<Node> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some(Node { host: host.clone(), port: *port })
        }
        _ => None,
    }
}

/// The node that a server names. A server that knows no name for a node answers nothing, an empty text or `?`: then the
/// node has the name of the server that was asked.
pub(super) fn named(host: Option<String>, port: u16, asked: &ConnectionInfo) -> Option<Node> {
    match host.filter(|host| !matches!(host.as_str(), "" | "?")) {
        Some(host) => Some(Node { host, port }),
        None => Some(Node { host: node(asked)?.host, port }),
    }
}

fn server(url: &str) -> Result<ConnectionInfo, LiveError> {
    url.into_connection_info().map_err(|error| unreadable(&error))
}

fn cluster(url: &str) -> Result<Topology, LiveError> {
    let nodes = url.split(',').map(|one| server(one.trim())).collect::<Result<Vec<_>, _>>()?;
    if nodes.iter().any(|node| node.redis_settings().db() != 0) {
        return Err(bad("a cluster has no databases"));
    }
    Ok(Topology::Cluster(nodes))
}

fn sentinels(scheme: &str, rest: &str) -> Result<Topology, LiveError> {
    let (servers, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = servers.split_once('/').unwrap_or((servers, ""));
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let option = |name: &str| options.split('&').find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let Some(service) = option("service").filter(|service| !service.is_empty()) else {
        return Err(bad("the name of the master is missing"));
    };
    let sentinel_user = match (option("sentinel_user"), option("sentinel_password")) {
        (None, None) => String::new(),
        (user, password) => format!("{}:{}@", user.unwrap_or_default(), password.unwrap_or_default()),
    };
    let sentinel = |host: &str| {
        let port = if has_port(host) { String::new() } else { format!(":{SENTINEL_PORT}") };
        server(&format!("{scheme}://{sentinel_user}{host}{port}"))
    };
    let sentinels = hosts.split(',').map(sentinel).collect::<Result<_, _>>()?;
    let user = if user.is_empty() { String::new() } else { format!("{user}@") };
    let kept: Vec<_> = options.split('&').filter(|option| option.starts_with("protocol=")).collect();
    // The host is only a placeholder: the Sentinels tell the real one.
    let master = server(&format!("{scheme}://{user}master.invalid/{database}?{}", kept.join("&")))?;
    Ok(Topology::Sentinels { sentinels, service: service.to_owned(), master })
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(']').map_or(host, |(_, port)| port).contains(':')
}

/// The error, without anything from the URL.
pub(super) fn unreadable(error: &RedisError) -> LiveError {
    bad(error.to_string().split(" - ").next().unwrap_or_default())
}

fn bad(fault: &str) -> LiveError {
    LiveError::BadUrl(format!("{fault}; {FORMS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(nodes: &[ConnectionInfo]) -> Vec<String> {
        nodes.iter().map(|info| info.addr().to_string()).collect()
    }

    #[test]
    fn one_address_is_one_server() {
        let Ok(Topology::Server(info)) = Topology::parse("rediss://me:pw@h:1/3") else { panic!("one server") };
        assert_eq!((info.addr().to_string().as_str(), info.redis_settings().db()), ("h:1", 3));
    }

    #[test]
    fn a_name_that_the_server_does_not_know_is_the_one_that_was_asked() {
        for asked in ["redis://asked:1", "rediss://asked:1"] {
            let asked = server(asked).unwrap();
            let host =
                |told: Option<&str>| named(told.map(str::to_owned), 7, &asked).map(|node| (node.host, node.port));
            for unknown in [None, Some(""), Some("?")] {
                assert_eq!(host(unknown), Some(("asked".to_owned(), 7)), "{unknown:?}");
            }
            for known in ["b", "::1", "192.0.2.7", "?.example"] {
                assert_eq!(host(Some(known)), Some((known.to_owned(), 7)));
            }
        }
    }

    #[test]
    fn several_addresses_are_a_cluster() {
        let Ok(Topology::Cluster(nodes)) = Topology::parse("redis://u:p@a:1, redis://[::1]:2") else {
            panic!("a cluster")
        };
        assert_eq!(addresses(&nodes), ["a:1", "::1:2"]);
        let moved = at(nodes.first().unwrap(), &Node { host: "c".to_owned(), port: 3 });
        assert_eq!(moved.addr().to_string(), "c:3");
        assert_eq!(moved.redis_settings().password(), Some("p"));
    }

    #[test]
    fn sentinels_have_a_port_and_perhaps_a_password_of_their_own() {
        let url = "rediss+sentinel://me:p%40w@a,b:5,[::1]/2?service=main&sentinel_password=s&protocol=resp3";
        let Ok(Topology::Sentinels { sentinels, service, master }) = Topology::parse(url) else { panic!("Sentinels") };
        assert_eq!(addresses(&sentinels), ["a:26379", "b:5", "::1:26379"]);
        assert_eq!(service, "main");
        assert_eq!(sentinels.first().unwrap().redis_settings().password(), Some("s"));
        let settings = master.redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (Some("me"), Some("p@w"), 2));
        assert!(matches!(at(&master, &Node { host: "m".to_owned(), port: 1 }).addr(), ConnectionAddr::TcpTls { .. }));
    }

    #[test]
    fn what_cannot_be_read_is_said_without_the_password() {
        for url in ["redis+sentinel://:secret@a", "redis://:secret@a,b", "redis://:secret@a/1,redis://b/1", "x,y"] {
            let Err(error) = Topology::parse(url) else { panic!("{url}") };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
