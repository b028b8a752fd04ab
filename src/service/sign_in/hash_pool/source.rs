//! Who asks for a hash: what the queue is fair between.
//!
//! Owns [`Source`]. Must never hold more of an address than it takes to tell one customer of a network from another.

use std::net::{IpAddr, Ipv4Addr};

use crate::domain::Client;
use crate::domain::throttle::subscriber;

/// Where a request for a hash comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct Source {
    /// The IPv4 address, or the beginning of the IPv6 one.
    pub(super) network: IpAddr,
    /// Whether somebody has shown not long ago, from the same browser, that they know the password.
    pub(super) familiar: bool,
}

impl Source {
    /// A client who may be anybody.
    pub(in crate::service) fn stranger(client: &Client) -> Self {
        Self { network: subscriber(client.ip), familiar: false }
    }

    /// A client who has shown not long ago that they know the password: a share of the queue is theirs.
    pub(in crate::service) fn familiar(client: &Client) -> Self {
        Self { familiar: true, ..Self::stranger(client) }
    }

    /// Whoever runs a command on the machine itself.
    pub(in crate::service) fn operator() -> Self {
        Self { network: IpAddr::V4(Ipv4Addr::UNSPECIFIED), familiar: true }
    }
}
