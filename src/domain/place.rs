//! Places: the location of an address according to a location file.
//!
//! Owns [`Place`] and the distance between two. Must never pass for a person's location: addresses move, a network's
//! exit can be far from its customers, and the file may contain any name.

use super::email::turns_text;

/// Longest name that is kept, in characters.
const MAX_NAME: usize = 100;
/// The mean radius of the earth.
const EARTH_KM: f64 = 6_371.0;

/// The location of an address. Unknown parts are absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// The country: two letters of ISO 3166-1.
    pub country: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The number of the network (autonomous system).
    pub asn: Option<i64>,
    /// That network's name.
    pub network: Option<String>,
    /// The position on the globe. Without a city it is the middle of a large area.
    pub point: Option<Point>,
}

/// A point on the globe, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    latitude: f64,
    longitude: f64,
}

impl Point {
    /// The point at these degrees north and east; `None` if there is no such point.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        // NaN is in no range.
        let exists = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        exists.then_some(Self { latitude, longitude })
    }

    /// Degrees north.
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east.
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// Kilometres to another point, along a great circle.
    pub fn km_to(self, other: Self) -> f64 {
        let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
        let (here, there) = (self.latitude.to_radians(), other.latitude.to_radians());
        let chord =
            half(self.latitude, other.latitude) + here.cos() * there.cos() * half(self.longitude, other.longitude);
        2.0 * EARTH_KM * chord.clamp(0.0, 1.0).sqrt().asin()
    }
}

impl Place {
    /// Whether both are known to be in one network.
    pub fn shares_network(&self, other: &Self) -> bool {
        self.asn.is_some() && self.asn == other.asn
    }

    /// Whether both are known to be in one country.
    pub fn shares_country(&self, other: &Self) -> bool {
        self.country.is_some() && self.country == other.country
    }

    /// The place in words: `Lisbon, PT`, or the country alone.
    pub fn words(&self) -> String {
        match (&self.city, &self.country) {
            (Some(city), Some(country)) => format!("{city}, {country}"),
            (None, Some(one)) | (Some(one), None) => one.clone(),
            (None, None) => "an unknown place".to_owned(),
        }
    }

    /// The network in words: `AS3243 (MEO)`.
    pub fn network_words(&self) -> String {
        match (self.asn, &self.network) {
            (Some(asn), Some(name)) => format!("AS{asn} ({name})"),
            (Some(asn), None) => format!("AS{asn}"),
            (None, _) => "an unknown network".to_owned(),
        }
    }
}

/// A country's code as stored; `None` unless the text is two letters.
pub fn country_code(text: &str) -> Option<String> {
    let is_code = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    is_code.then(|| text.to_ascii_uppercase())
}

/// A name from a file as stored: limited in length, without control characters (PostgreSQL refuses NUL, terminals obey
/// some others) and without characters that reverse text.
pub fn name(text: &str) -> Option<String> {
    let kept: String = text.trim().chars().filter(|&c| !c.is_control() && !turns_text(c)).take(MAX_NAME).collect();
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_atlas() {
        let (lisbon, sydney) = (Point::new(38.72, -9.14).unwrap(), Point::new(-33.87, 151.21).unwrap());
        let near = |km: f64, expected: f64| assert!((km - expected).abs() < expected * 0.01, "{km} is not {expected}");
        near(lisbon.km_to(sydney), 18_170.0);
        near(lisbon.km_to(Point::new(40.42, -3.70).unwrap()), 503.0);
        // Over the date line, and to the other side of the globe.
        near(Point::new(0.0, 179.5).unwrap().km_to(Point::new(0.0, -179.5).unwrap()), 111.2);
        near(Point::new(90.0, 0.0).unwrap().km_to(Point::new(-90.0, 77.0).unwrap()), 20_015.0);
        assert!(lisbon.km_to(lisbon) < 0.001);
    }

    #[test]
    fn what_is_no_point_country_or_name_is_none() {
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Point::new(latitude, longitude), None);
        }
        for text in ["", "P", "PRT", "1A", "é", "P\0"] {
            assert_eq!(country_code(text), None, "{text:?}");
        }
        assert_eq!(country_code("pt").as_deref(), Some("PT"));
        assert_eq!(name(" a\0b\u{1b}[2J\n "), Some("ab[2J".to_owned()));
        assert_eq!(name("\u{7f}"), None);
        assert_eq!(name("Lis\u{202e}bon\u{2066}"), Some("Lisbon".to_owned()));
        assert_eq!(name(&"é".repeat(1_000)).unwrap().chars().count(), MAX_NAME);
    }
}
