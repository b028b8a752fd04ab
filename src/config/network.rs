//! Where the server listens, and which proxies it trusts with a client's address.
//!
//! Owns the reading of these settings. Must never trust every peer: a client that may name its own address could pose
//! as any address in the list of sessions and in every limit by address.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::given::{ConfigError, Given};
use super::settings::{Settings, var};

const MAX_WORKERS: usize = 512;
/// `::ffff:0:0/96` is all of IPv4.
const MAPPED_PREFIX: u8 = 96;

/// The address to serve on. Port 0 asks the operating system for a free one.
pub(super) fn listen(settings: &Settings) -> Result<SocketAddr, ConfigError> {
    let given = settings.given(var::LISTEN);
    let text = given.text_or_default();
    text.parse().map_err(|_| {
        given.is_no(text, "but must be an address with a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080.")
    })
}

/// The number of worker threads.
pub(super) fn workers(settings: &Settings) -> Result<usize, ConfigError> {
    let given = settings.given(var::WORKERS);
    if given.text().is_none() {
        return Ok(std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS));
    }
    given.number(1, MAX_WORKERS)
}

/// The proxies in front and the header in which they name the client; one without the other is an error.
pub(super) fn proxies(settings: &Settings) -> Result<(Vec<IpNet>, Option<String>), ConfigError> {
    let networks = settings.given(var::TRUSTED_PROXIES);
    let header = settings.given(var::CLIENT_IP_HEADER);
    let trusted: Vec<_> = networks.list().map(|text| network(&networks, text)).collect::<Result<_, _>>()?;
    let name = header.text().map(|text| header_name(&header, text)).transpose()?;
    match (trusted.is_empty(), &name) {
        (true, Some(_)) => Err(header.bad(format!(
            "is set without {}, so any client could choose its own address: list the proxies' addresses there.",
            var::TRUSTED_PROXIES
        ))),
        (false, None) => Err(networks.bad(format!(
            "is set without {}: name the header in which the proxies send the client's address, such as \
                X-Forwarded-For.",
            var::CLIENT_IP_HEADER
        ))),
        _ => Ok((trusted, name)),
    }
}

fn network(given: &Given<'_>, text: &str) -> Result<IpNet, ConfigError> {
    let read = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let Some(network) = read.ok().map(canonical) else {
        return Err(given.is_no(text, "but must be an address or network, such as 10.0.0.0/8 or 192.0.2.7."));
    };
    if network.prefix_len() == 0 {
        return Err(
            given.is_no(text, "which trusts every client to name its own address: list the proxies' addresses.")
        );
    }
    Ok(network.trunc())
}

/// IPv4 written as IPv6 (`::ffff:10.0.0.0/104`) becomes IPv4, the form of the client addresses it is compared with.
fn canonical(network: IpNet) -> IpNet {
    let unmapped = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED_PREFIX)),
        IpNet::V4(_) => None,
    };
    unmapped.and_then(|(address, prefix)| IpNet::new(address.into(), prefix).ok()).unwrap_or(network)
}

fn header_name(given: &Given<'_>, text: &str) -> Result<String, ConfigError> {
    let name = text.to_ascii_lowercase();
    if name == "forwarded" {
        return Err(given.is_no(text, "which is not supported: let the proxy send X-Forwarded-For."));
    }
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain { Ok(name) } else { Err(given.is_no(text, "but must be a header name, such as X-Forwarded-For.")) }
}
