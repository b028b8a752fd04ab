//! Settings: where Redis is, and how long to wait for it.
//!
//! Owns [`LiveConfig`]. Must never print the URL: it may contain a password.

use std::fmt;
use std::time::Duration;

/// Where Redis is and how long to wait for it.
#[derive(Clone)]
pub struct LiveConfig {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS; comma-separated URLs select Cluster
    /// mode; or `redis+sentinel://[user:password@]host[:port],…[/database]?service=name`.
    pub url: String,
    /// The prefix of every key and channel.
    pub prefix: String,
    /// How long one command may take.
    pub command_timeout: Duration,
    /// How long a connection attempt may take.
    pub connect_timeout: Duration,
    /// How long the fence may take to answer: a transaction of several statements, in a database that may be far away.
    pub fence_timeout: Duration,
    /// The most connections besides those of the workers.
    pub pool_size: usize,
}

impl LiveConfig {
    /// The defaults for the server at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: String::new(),
            command_timeout: Duration::from_millis(250),
            connect_timeout: Duration::from_millis(500),
            fence_timeout: Duration::from_secs(2),
            pool_size: 8,
        }
    }
}

/// Without the URL: it may contain a password.
impl fmt::Debug for LiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, prefix, command_timeout, connect_timeout, fence_timeout, pool_size } = self;
        f.debug_struct("LiveConfig")
            .field("prefix", prefix)
            .field("command_timeout", command_timeout)
            .field("connect_timeout", connect_timeout)
            .field("fence_timeout", fence_timeout)
            .field("pool_size", pool_size)
            .finish_non_exhaustive()
    }
}
