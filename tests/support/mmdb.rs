//! Location files in MaxMind's format, made by the tests: a world that is small enough to know by heart.
//!
//! Owns a writer of that format (MaxMind DB file format 2.0), as far as such a file needs it. Must never share code with the
//! reader in sessiond: the two meet in the format alone.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

const SEPARATOR: usize = 16;
const RECORD_BITS: u32 = 32;
const METADATA: &[u8] = b"\xab\xcd\xefMaxMind.com";

pub const LISBON: &str = "192.0.2.7";
pub const MADRID: &str = "198.51.100.7";
pub const TOKYO: &str = "203.0.113.7";
pub const SAO_PAULO: &str = "2001:db8:1::7";
/// In the middle of Germany: the file knows no city.
pub const GERMANY: &str = "2001:db8:2::7";
/// One carrier, whose addresses are filed under three countries.
pub const CARRIER: [&str; 3] = ["10.1.0.1", "10.2.0.1", "10.3.0.1"];
/// A city that somebody has named to do harm.
pub const HOSTILE: &str = "10.66.0.1";
pub const HOSTILE_NAME: &str = "<img src=x onerror=alert(1)>'; DROP TABLE sessions; --\u{0}\u{1b}[2J\u{202e}";
/// In no file.
pub const NOWHERE: &str = "172.16.0.1";

/// A file that is being put together.
#[derive(Default)]
pub struct Mmdb {
    networks: Vec<(IpAddr, u32, Value)>,
}

#[derive(Clone, Copy)]
enum Slot {
    Nothing,
    Node(usize),
    Data(usize),
}

impl Mmdb {
    /// With one more network, such as `192.0.2.0/24`.
    #[must_use]
    pub fn with(mut self, network: &str, record: Value) -> Self {
        let (address, prefix) = network.split_once('/').expect("a network has a prefix");
        let address: IpAddr = address.parse().expect("an address");
        let prefix: u32 = prefix.parse().expect("a number");
        // IPv4 is kept under ::/96.
        let depth = if address.is_ipv4() { prefix + 96 } else { prefix };
        self.networks.push((address, depth, record));
        self
    }

    /// With a place as MaxMind writes it.
    #[must_use]
    pub fn place(self, network: &str, country: &str, city: Option<&str>, (latitude, longitude): (f64, f64)) -> Self {
        let mut record = json!({
            "country": { "iso_code": country, "names": { "en": country } },
            "location": { "latitude": latitude, "longitude": longitude, "accuracy_radius": 20 },
        });
        if let Some(city) = city {
            record["city"] = json!({ "names": { "de": "anders", "en": city } });
        }
        self.with(network, record)
    }

    /// With a network's number and name as MaxMind writes them.
    #[must_use]
    pub fn asn(self, network: &str, asn: u32, name: &str) -> Self {
        let record = json!({ "autonomous_system_number": asn, "autonomous_system_organization": name });
        self.with(network, record)
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let (mut nodes, mut data) = (vec![[Slot::Nothing; 2]], Vec::new());
        for (address, depth, record) in &self.networks {
            let offset = data.len();
            encode(record, &mut data);
            insert(&mut nodes, bits(*address), *depth, offset);
        }
        let mut bytes = Vec::new();
        for slot in nodes.iter().flatten() {
            let record = match slot {
                Slot::Nothing => nodes.len(),
                Slot::Node(number) => *number,
                Slot::Data(offset) => nodes.len() + SEPARATOR + offset,
            };
            bytes.extend(u32::try_from(record).expect("a small file").to_be_bytes());
        }
        bytes.extend([0; SEPARATOR]);
        bytes.extend(data);
        bytes.extend(METADATA);
        let metadata = json!({
            "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_700_000_000,
            "database_type": "Test-City", "description": { "en": "made by a test" }, "ip_version": 6,
            "languages": ["en"], "node_count": nodes.len(), "record_size": RECORD_BITS,
        });
        encode(&metadata, &mut bytes);
        bytes
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => address.into(),
    }
}

fn insert(nodes: &mut Vec<[Slot; 2]>, address: u128, depth: u32, offset: usize) {
    let mut node = 0;
    for bit in 0..depth {
        let side = usize::from(address >> (127 - bit) & 1 == 1);
        if bit + 1 == depth {
            nodes[node][side] = Slot::Data(offset);
        } else if let Slot::Node(next) = nodes[node][side] {
            node = next;
        } else {
            nodes.push([Slot::Nothing; 2]);
            nodes[node][side] = Slot::Node(nodes.len() - 1);
            node = nodes.len() - 1;
        }
    }
}

/// Whole numbers that the format wants in another width than 32 bits: their types and bytes.
const WIDTHS: [(&str, u8, usize); 5] = [
    ("binary_format_major_version", 5, 2),
    ("binary_format_minor_version", 5, 2),
    ("ip_version", 5, 2),
    ("record_size", 5, 2),
    ("build_epoch", 9, 8),
];

/// A value with its type and length in front.
fn encode(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            head(2, text.len(), to);
            to.extend(text.as_bytes());
        }
        Value::Number(number) if number.is_f64() => {
            head(3, 8, to);
            to.extend(number.as_f64().expect("a float").to_be_bytes());
        }
        Value::Number(number) => {
            head(6, 4, to);
            let number = number.as_u64().and_then(|number| u32::try_from(number).ok());
            to.extend(number.expect("32 bits").to_be_bytes());
        }
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            head(7, sorted.len(), to);
            for (key, value) in sorted {
                encode(&Value::String(key.clone()), to);
                match WIDTHS.iter().find(|(name, ..)| name == key).zip(value.as_u64()) {
                    Some(((_, kind, width), number)) => {
                        head(*kind, *width, to);
                        to.extend(&number.to_be_bytes()[8 - width..]);
                    }
                    None => encode(value, to),
                }
            }
        }
        Value::Array(list) => {
            head(11, list.len(), to);
            list.iter().for_each(|value| encode(value, to));
        }
        Value::Null | Value::Bool(_) => panic!("nothing here has such a value"),
    }
}

fn head(kind: u8, length: usize, to: &mut Vec<u8>) {
    let (size, more): (u8, Vec<u8>) = match length {
        0..29 => (u8::try_from(length).expect("it is small"), vec![]),
        29..285 => (29, vec![u8::try_from(length - 29).expect("it is small")]),
        _ => (30, u16::try_from(length - 285).expect("no text is so long").to_be_bytes().to_vec()),
    };
    if kind > 7 {
        to.extend([size, kind - 7]);
    } else {
        to.push(kind << 5 | size);
    }
    to.extend(more);
}

/// A folder with location files.
pub struct Files {
    folder: TempDir,
}

impl Files {
    /// The whole world in two files, as MaxMind sells it: places in one, networks in the other.
    pub fn of_the_world() -> Self {
        let files = Self { folder: TempDir::with_prefix("locations-").expect("a folder") };
        files.write("city.mmdb", &places("Lisbon").bytes());
        files.write("asn.mmdb", &networks().bytes());
        files
    }

    /// What `SESSIOND_GEOIP_DB` is set to.
    pub fn setting(&self) -> String {
        format!("{},{}", self.path("city.mmdb").display(), self.path("asn.mmdb").display())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes over what is there.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("the file can be written");
        path
    }

    /// Puts another file in its place.
    pub fn replace(&self, name: &str, bytes: &[u8]) {
        let new: &Path = &self.write(&format!("{name}.new"), bytes);
        fs::rename(new, self.path(name)).expect("the file can be renamed");
    }
}

/// The places; the city of [`LISBON`] can have another name.
pub fn places(lisbon: &str) -> Mmdb {
    let [pt, es, jp] = [(38.72, -9.14), (40.42, -3.70), (35.69, 139.69)];
    Mmdb::default()
        .place("192.0.2.0/24", "PT", Some(lisbon), pt)
        .place("198.51.100.0/24", "ES", Some("Madrid"), es)
        .place("203.0.113.0/24", "JP", Some("Tokyo"), jp)
        .place("2001:db8:1::/48", "BR", Some("São Paulo"), (-23.55, -46.63))
        .place("2001:db8:2::/48", "DE", None, (51.0, 9.0))
        .place("10.1.0.0/16", "PT", Some("Lisbon"), pt)
        .place("10.2.0.0/16", "ES", Some("Madrid"), es)
        .place("10.3.0.0/16", "JP", Some("Tokyo"), jp)
        .place("10.66.0.0/16", "PT", Some(HOSTILE_NAME), pt)
}

fn networks() -> Mmdb {
    Mmdb::default()
        .asn("192.0.2.0/24", 3_243, "MEO")
        .asn("198.51.100.0/24", 3_352, "TELEFONICA")
        .asn("203.0.113.0/24", 2_516, "KDDI")
        .asn("2001:db8:1::/48", 270_699, "VIVO")
        .asn("2001:db8:2::/48", 3_320, "DTAG")
        .asn("10.0.0.0/10", 12_430, "ONE CARRIER")
        .asn("10.66.0.0/16", 3_243, HOSTILE_NAME)
}
