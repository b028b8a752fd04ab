//! Location file: one file in MaxMind's format, in memory.
//!
//! Owns which of its fields are read: those of MaxMind and DB-IP, and the flat ones of IPinfo. A file is read whole and
//! validated before use. Must never trust a text in it, nor let an unexpected field spoil the others.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{LookupResult, PathElement, Reader, WithinOptions};
use serde::Deserialize;

use crate::domain::Place;
use crate::domain::place::{self, Point};
use crate::service::core::file_identity::FileIdentity;

/// Largest file that is loaded. The largest on sale are less than half of this.
const MAX_BYTES: u64 = 1 << 30;
/// Entries that are searched for one with any data.
const SAMPLED: usize = 10_000;
/// IPinfo's prefix of an autonomous system number.
const ASN_PREFIX: &str = "AS";

type Field = &'static [PathElement<'static>];

macro_rules! fields {
    ($($name:ident = $([$($key:literal),+])|+;)+) => {
        $(const $name: &[Field] = &[$(&[$(PathElement::Key($key)),+]),+];)+
    };
}

// Of several spellings, the first that is present counts.
fields! {
    COUNTRY = ["country", "iso_code"] | ["registered_country", "iso_code"] | ["country_code"];
    CITY = ["city", "names", "en"] | ["city"];
    LATITUDE = ["location", "latitude"];
    LONGITUDE = ["location", "longitude"];
    ASN = ["autonomous_system_number"] | ["traits", "autonomous_system_number"];
    ASN_TEXT = ["asn"];
    NETWORK = ["autonomous_system_organization"] | ["traits", "autonomous_system_organization"] | ["as_name"];
}

/// A validated file.
pub(super) struct LocationFile(Reader<Vec<u8>>);

impl LocationFile {
    /// Reads and validates the file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let length = FileIdentity::of(path)?.length;
        if length > MAX_BYTES {
            return Err(format!("it has {length} bytes, which is more than the limit of {MAX_BYTES}"));
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| error.to_string())?;
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let corrupt = |error| format!("it is not a valid file in MaxMind's format: {error}");
        let reader = Reader::from_source(bytes).map_err(corrupt)?;
        reader.verify().map_err(corrupt)?;
        let file = Self(reader);
        if !file.says_something() {
            return Err(format!(
                "it has no country and no network for any address (its type is {:?})",
                file.0.metadata().database_type
            ));
        }
        Ok(file)
    }

    /// A description for the log.
    pub(super) fn description(&self) -> String {
        let metadata = self.0.metadata();
        let made = i64::try_from(metadata.build_epoch).unwrap_or(0).saturating_mul(1_000);
        let made = crate::domain::Timestamp::from_ms(made).to_rfc3339();
        format!("{:?} of {made}, IPv{}", metadata.database_type, metadata.ip_version)
    }

    fn says_something(&self) -> bool {
        let Ok(networks) = self.0.networks(WithinOptions::default()) else { return false };
        let mut places = networks.take(SAMPLED).filter_map(Result::ok).map(|found| read_place(&found));
        places.any(|place| place.country.is_some() || place.asn.is_some())
    }

    /// The location of an address, as far as this file knows.
    pub(super) fn place(&self, ip: IpAddr) -> Place {
        // A file with only IPv4 knows no IPv6 address: that is no error.
        self.0.lookup(ip).map(|found| read_place(&found)).unwrap_or_default()
    }
}

fn read_place(found: &LookupResult<'_, Vec<u8>>) -> Place {
    let number = |fields| first::<Number>(found, fields);
    let degrees = |fields| number(fields).map(Number::fraction);
    let asn = number(ASN).and_then(Number::whole).or_else(|| first::<&str>(found, ASN_TEXT).and_then(asn_of_text));
    Place {
        country: first::<&str>(found, COUNTRY).and_then(place::country_code),
        city: first::<&str>(found, CITY).and_then(place::name),
        asn: asn.map(i64::from),
        network: first::<&str>(found, NETWORK).and_then(place::name),
        point: degrees(LATITUDE).zip(degrees(LONGITUDE)).and_then(|(north, east)| Point::new(north, east)),
    }
}

/// A number of any width that a vendor chose.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u32),
    Negative(i32),
    Fraction(f64),
}

impl Number {
    fn whole(self) -> Option<u32> {
        if let Self::Whole(number) = self { Some(number) } else { None }
    }

    fn fraction(self) -> f64 {
        match self {
            Self::Whole(number) => number.into(),
            Self::Negative(number) => number.into(),
            Self::Fraction(number) => number,
        }
    }
}

fn first<'a, T: Deserialize<'a>>(found: &LookupResult<'a, Vec<u8>>, fields: &[Field]) -> Option<T> {
    fields.iter().find_map(|field| found.decode_path(field).ok().flatten())
}

fn asn_of_text(text: &str) -> Option<u32> {
    text.strip_prefix(ASN_PREFIX)?.parse().ok()
}
