//! The last use of a session: when, from where, and what place that is.
//!
//! Owns which of those who know a use is believed: the later one. Must never ask a store: what was read of them is given.

use std::net::IpAddr;

use crate::domain::{Clock as _, Place, Timestamp};
use crate::ledger::sessions::Session;
use crate::live::Record;
use crate::service::core::Core;

/// A session's last use, as far as it is known.
#[derive(Clone, Debug)]
pub(in crate::service) struct LastUse {
    pub(in crate::service) at: Timestamp,
    pub(in crate::service) ip: String,
    /// Where it was signed in, unless it has moved since.
    pub(in crate::service) place: Place,
}

impl LastUse {
    /// As the ledger knows it.
    pub(in crate::service) fn of(row: &Session) -> Self {
        Self { at: row.last_seen_at, ip: row.last_ip.clone(), place: place_of(row) }
    }
}

impl Core {
    /// Where an address is; an unknown place where there is no location file.
    pub(in crate::service) fn place(&self, ip: IpAddr) -> Place {
        self.locator.as_ref().map(|locator| locator.place(ip)).unwrap_or_default()
    }

    /// As the ledger knows it, or a record, which learns of a use before the ledger.
    pub(in crate::service) fn last_use(&self, row: &Session, record: Option<&Record>) -> LastUse {
        let known = LastUse::of(row);
        let newer = record.filter(|record| record.last_seen >= known.at);
        let (at, ip) = newer.map_or_else(|| (known.at, known.ip.clone()), |it| (it.last_seen, it.ip.to_string()));
        // A wrong clock may have written a time that is yet to come.
        let at = at.min(self.clock.now());
        let place = if ip == row.sign_in_ip {
            signed_in(row)
        } else if ip == known.ip && known.place != Place::default() {
            known.place
        } else {
            // On its way into the ledger, or from before this was kept there.
            ip.parse::<IpAddr>().map(|ip| self.place(ip)).unwrap_or_default()
        };
        LastUse { at, ip, place }
    }
}

/// Where a row's session was signed in.
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
