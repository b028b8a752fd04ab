//! Who is asking: what a request tells about where it came from.
//!
//! Owns [`Client`]. Must never hold a header that was not already judged: the address here is the one that
//! may be believed.

use std::net::IpAddr;

use uuid::Uuid;

/// The origin of one request, as the service layer sees it.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address that the request came from, canonical (an IPv4-mapped IPv6 address is IPv4).
    pub ip: IpAddr,
    /// The User-Agent header, cut at [`super::device::MAX_USER_AGENT`] bytes.
    pub user_agent: Option<String>,
    /// Names the request in logs, the audit log and problem answers.
    pub request_id: Uuid,
}
