//! Source: the client that asks for a hash. The queue is fair between sources.
//!
//! Owns [`Source`]. Must never hold more of an address than distinguishes one customer of a network from another.

use std::net::{IpAddr, Ipv4Addr};

use crate::domain::Client;
use crate::domain::throttle::subscriber;

/// The origin of a request for a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct Source {
    /// The IPv4 address, or the prefix of the IPv6 address.
    pub(super) network: IpAddr,
    /// Whether the owner has recently shown the password from the same browser.
    pub(super) familiar: bool,
}

impl Source {
    /// An unknown client.
    pub(in crate::service) fn stranger(client: &Client) -> Self {
        Self { network: subscriber(client.ip), familiar: false }
    }

    /// A client that has recently shown the password: it uses the reserved share of the queue.
    pub(in crate::service) fn familiar(client: &Client) -> Self {
        Self { familiar: true, ..Self::stranger(client) }
    }

    /// A command on the machine itself.
    pub(in crate::service) fn operator() -> Self {
        Self { network: IpAddr::V4(Ipv4Addr::UNSPECIFIED), familiar: true }
    }
}
