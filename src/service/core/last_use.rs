//! Last use: when and from where a session was last used, and the location of that address.
//!
//! Owns the choice between the sources: the later use wins. Must never ask a store: the caller passes what was read.

use std::net::IpAddr;

use crate::domain::{Clock as _, Place, Timestamp};
use crate::ledger::sessions::Session;
use crate::live::Record;
use crate::service::core::Core;

/// A session's last known use.
#[derive(Clone, Debug)]
pub(in crate::service) struct LastUse {
    pub(in crate::service) at: Timestamp,
    pub(in crate::service) ip: String,
    /// The sign-in location, unless the session has moved since.
    pub(in crate::service) place: Place,
}

impl LastUse {
    /// From the ledger.
    pub(in crate::service) fn of(row: &Session) -> Self {
        Self { at: row.last_seen_at, ip: row.last_ip.clone(), place: place_of(row) }
    }
}

impl Core {
    /// The location of an address; unknown where there is no location file.
    pub(in crate::service) fn place(&self, ip: IpAddr) -> Place {
        self.locator.as_ref().map(|locator| locator.place(ip)).unwrap_or_default()
    }

    /// From the ledger or, where it is newer, from a record, which learns of a use before the ledger.
    pub(in crate::service) fn last_use(&self, row: &Session, record: Option<&Record>) -> LastUse {
        let known = LastUse::of(row);
        let newer = record.filter(|record| record.last_seen >= known.at);
        let (at, ip) = newer.map_or_else(|| (known.at, known.ip.clone()), |it| (it.last_seen, it.ip.to_string()));
        // A wrong clock may have written a time in the future.
        let at = at.min(self.clock.now());
        let place = if ip == row.sign_in_ip {
            signed_in(row)
        } else if ip == known.ip && known.place != Place::default() {
            known.place
        } else {
            // Not yet in the ledger, or from before the ledger kept locations.
            ip.parse::<IpAddr>().map(|ip| self.place(ip)).unwrap_or_default()
        };
        LastUse { at, ip, place }
    }
}

/// The sign-in location of a row's session.
pub(in crate::service) fn signed_in(row: &Session) -> Place {
    let Session { country, city, asn, network, .. } = row;
    Place { country: country.clone(), city: city.clone(), asn: *asn, network: network.clone(), point: None }
}

fn place_of(row: &Session) -> Place {
    if row.last_ip == row.sign_in_ip {
        return signed_in(row);
    }
    let Session { last_country, last_city, last_asn, last_network, .. } = row;
    let (country, city, network) = (last_country.clone(), last_city.clone(), last_network.clone());
    Place { country, city, asn: *last_asn, network, point: None }
}
