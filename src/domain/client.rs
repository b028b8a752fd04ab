//! The client of a request and its origin.
//!
//! Owns [`Client`]. Must never hold an unverified header: the address here is the one to trust.

use std::net::IpAddr;

use uuid::Uuid;

/// The origin of one request, as the service layer sees it.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address that the request came from, canonical (an IPv4-mapped IPv6 address is IPv4).
    pub ip: IpAddr,
    /// The User-Agent header, cut at [`super::device::MAX_USER_AGENT`] bytes.
    pub user_agent: Option<String>,
    /// The request's id in logs, the audit log and problem answers.
    pub request_id: Uuid,
}
