//! The address of a PostgreSQL database: parsed and judged here, so that no driver ever parses it.
//!
//! Owns [`PostgresUrl`]. A driver quotes an address that it cannot parse, password included. Must never print a
//! password, and never put any part of an address into a refusal.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// Every option of libpq (PostgreSQL 18). Only the values of [`HARMLESS`] options are ever shown.
const OPTIONS: [&str; 45] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "options",
    "passfile",
    "password",
    "port",
    "require_auth",
    "requirepeer",
    "scram_client_key",
    "scram_server_key",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
];
const MORE_OPTIONS: [&str; 3] = ["target_session_attrs", "tcp_user_timeout", "user"];
const HARMLESS: [&str; 6] =
    ["application_name", "connect_timeout", "dbname", "port", "sslmode", "target_session_attrs"];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Defaults that bound connecting and a vanished peer.
const BOUNDS: [(&str, &str); 3] = [("connect_timeout", "2"), ("tcp_user_timeout", "4000"), ("keepalives_idle", "5")];
/// Seconds; libpq reads 0 as no bound at all.
const LONGEST_CONNECT: u32 = 60;
/// A shorter text is no secret, and many messages would contain it.
const LEAST_SECRET: usize = 4;

const UNREADABLE: &str = "has no valid user, password, host and port: percent-encode special characters in the user \
    and the password (@ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25, a space is %20)";
const BAD_PERCENT: &str = "has an invalid percent-encoding: write %25 for a % in the user or the password";

/// One address with its options, decoded. Printed without its password; compared with it.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    servers: Vec<Server>,
    options: Vec<(&'static str, Zeroizing<String>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    host: String,
    port: String,
}

impl PostgresUrl {
    /// Reads `postgres://[user[:password]@][host[:port],…][/database][?option=value&…]`, as libpq does, but strictly.
    ///
    /// # Errors
    /// Returns the rest of a sentence that begins with the setting's name and contains nothing of the address.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or("is not a URL: write postgres://USER:PASSWORD@HOST:PORT/DATABASE")?;
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(UNREADABLE);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        // Another @ means that a password was not encoded.
        if user.contains('@') || database.contains(['@', '/']) || query.contains('@') {
            return Err(UNREADABLE);
        }
        let mut options = Vec::new();
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        for (name, value) in [("user", user), ("password", password), ("dbname", database)] {
            if !value.is_empty() {
                options.push((name, decoded(value)?));
            }
        }
        for option in query.split('&').filter(|option| !option.is_empty()) {
            set(&mut options, option)?;
        }
        let servers = servers(hosts, &mut options)?;
        for (name, value) in BOUNDS {
            if !options.iter().any(|(given, _)| *given == name) {
                options.push((name, Zeroizing::new(value.to_owned())));
            }
        }
        Ok(Self { servers, options })
    }

    /// What libpq gets for each server, in the order of the address: keywords and values, quoted so that libpq reads
    /// them as meant.
    pub fn connection_strings(&self) -> Vec<Zeroizing<String>> {
        let one = |server: &Server| {
            let place = [("host", server.host.as_str()), ("port", server.port.as_str())];
            let place = place.into_iter().filter(|(_, value)| !value.is_empty());
            let options = self.options.iter().map(|(name, value)| (*name, value.as_str()));
            let words = place
                .chain(options)
                .map(|(name, value)| format!("{name}='{}'", value.replace('\\', r"\\").replace('\'', r"\'")));
            Zeroizing::new(words.collect::<Vec<_>>().join(" "))
        };
        self.servers.iter().map(one).collect()
    }

    /// How long the driver may take to connect to one server.
    pub fn connect_timeout(&self) -> Duration {
        let seconds = self.option("connect_timeout").and_then(|seconds| seconds.parse().ok());
        Duration::from_secs(seconds.unwrap_or(LONGEST_CONNECT.into()))
    }

    /// A driver's message without the possible secrets of the address.
    pub fn scrub(&self, message: &str) -> String {
        let secrets = self.options.iter().filter(|(name, value)| {
            !HARMLESS.contains(name) && *name != "user" && value.len() >= LEAST_SECRET && !is_bound(name)
        });
        secrets.fold(message.to_owned(), |text, (_, secret)| text.replace(secret.as_str(), "***"))
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }
}

fn is_bound(name: &str) -> bool {
    BOUNDS.iter().any(|(bound, _)| *bound == name)
}

/// Takes one `name=value` of the query. If a name is repeated, the last one counts.
fn set(options: &mut Vec<(&'static str, Zeroizing<String>)>, option: &str) -> Result<(), &'static str> {
    const UNKNOWN: &str = "has an option after the ? that libpq does not know, or one without a value";
    let (name, value) = option.split_once('=').ok_or(UNKNOWN)?;
    // libpq accepts this from other drivers' addresses.
    let (name, value) = if (name, value) == ("ssl", "true") { ("sslmode", "require") } else { (name, value) };
    let known = OPTIONS.iter().chain(&MORE_OPTIONS).find(|known| **known == name).ok_or(UNKNOWN)?;
    let value = decoded(value)?;
    let fits = match *known {
        "sslmode" => SSL_MODES.contains(&value.as_str()),
        // A read-only database cannot be the ledger.
        "target_session_attrs" => ["any", "primary", "read-write"].contains(&value.as_str()),
        "connect_timeout" => value.parse().is_ok_and(|seconds: u32| (1..=LONGEST_CONNECT).contains(&seconds)),
        name if name.starts_with("keepalives") || name == "tcp_user_timeout" => value.parse::<u32>().is_ok(),
        _ => true,
    };
    if !fits {
        return Err("has an option after the ? with an invalid value (connect_timeout is from 1 to 60 seconds, \
                    target_session_attrs is read-write)");
    }
    options.retain(|(given, _)| given != known);
    options.push((known, value));
    Ok(())
}

/// The servers of the authority, or of the options `host` and `port`, which take precedence.
fn servers(authority: &str, options: &mut Vec<(&'static str, Zeroizing<String>)>) -> Result<Vec<Server>, &'static str> {
    let mut found: Vec<Server> = authority.split(',').map(server).collect::<Result<_, _>>()?;
    let mut take = |name: &str| {
        let at = options.iter().position(|(given, _)| *given == name)?;
        Some(options.remove(at).1.split(',').map(str::to_owned).collect::<Vec<_>>())
    };
    if let Some(hosts) = take("host") {
        let ports = found.iter().map(|server| server.port.clone()).collect::<Vec<_>>();
        found = spread(hosts, ports)?;
    }
    if let Some(ports) = take("port") {
        let hosts = found.into_iter().map(|server| server.host).collect();
        found = spread(hosts, ports)?;
    }
    let good = |port: &str| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0);
    if found.iter().all(|server| good(&server.port)) { Ok(found) } else { Err(UNREADABLE) }
}

/// Each host with its port; a single port applies to all.
fn spread(hosts: Vec<String>, ports: Vec<String>) -> Result<Vec<Server>, &'static str> {
    if ports.len() != 1 && ports.len() != hosts.len() {
        return Err("has a different number of hosts and ports: write one port for each host, or one for all");
    }
    let ports = ports.into_iter().cycle();
    Ok(hosts.into_iter().zip(ports).map(|(host, port)| Server { host, port }).collect())
}

fn server(text: &str) -> Result<Server, &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').ok_or(UNREADABLE)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port =
        if port.is_empty() { "" } else { port.strip_prefix(':').filter(|port| !port.is_empty()).ok_or(UNREADABLE)? };
    let host = decoded(host)?;
    // A name, an address, or the folder of a socket.
    let plain = |c: char| c.is_alphanumeric() || "._-:/%+".contains(c);
    if !host.chars().all(plain) {
        return Err(UNREADABLE);
    }
    Ok(Server { host: host.as_str().to_owned(), port: port.to_owned() })
}

/// Decodes a percent-encoded text.
fn decoded(text: &str) -> Result<Zeroizing<String>, &'static str> {
    if !is_percent_encoded(text) {
        return Err(BAD_PERCENT);
    }
    let plain = percent_decode_str(text).decode_utf8().map_err(|_| BAD_PERCENT)?;
    if plain.contains('\0') { Err(BAD_PERCENT) } else { Ok(Zeroizing::new(plain.into_owned())) }
}

/// Whether every `%` begins an escape, and the decoded bytes are text.
pub fn is_percent_encoded(text: &str) -> bool {
    let begins = |rest: &str| rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(begins) && percent_decode_str(text).decode_utf8().is_ok()
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        match (self.option("user"), self.option("password")) {
            (Some(user), Some(_)) => write!(f, "{user}:***@")?,
            (Some(user), None) => write!(f, "{user}@")?,
            (None, Some(_)) => f.write_str(":***@")?,
            (None, None) => {}
        }
        let hosts = self.servers.iter().map(Server::to_string).collect::<Vec<_>>();
        write!(f, "{}/{}", hosts.join(","), self.option("dbname").unwrap_or_default())?;
        let said = ["user", "password", "dbname"];
        let shown = self
            .options
            .iter()
            .filter(|(name, value)| !said.contains(name) && !BOUNDS.contains(&(*name, value.as_str())));
        for (number, (name, value)) in shown.enumerate() {
            let value = if HARMLESS.contains(name) { value.as_str() } else { "***" };
            write!(f, "{}{name}={value}", if number == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        if self.port.is_empty() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> PostgresUrl {
        PostgresUrl::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn what_libpq_is_given_means_what_was_written() {
        const REST: &str = "connect_timeout='2' tcp_user_timeout='4000' keepalives_idle='5'";
        for (url, told) in [
            ("postgres://", vec![String::new()]),
            ("postgresql://h", vec!["host='h' ".to_owned()]),
            (
                "postgres://u:p%40%27%5C@h:5/d%20b",
                vec![r"host='h' port='5' user='u' password='p@\'\\' dbname='d b' ".to_owned()],
            ),
            ("postgres://u:a:b@[::1]:5", vec!["host='::1' port='5' user='u' password='a:b' ".to_owned()]),
            (
                "postgres://a:1,b:2/d",
                vec!["host='a' port='1' dbname='d' ".to_owned(), "host='b' port='2' dbname='d' ".to_owned()],
            ),
            (
                "postgres:///d?host=/run/pg,b&port=7",
                vec!["host='/run/pg' port='7' dbname='d' ".to_owned(), "host='b' port='7' dbname='d' ".to_owned()],
            ),
            ("postgres://%2Frun%2Fpg/d?user=me&user=you", vec!["host='/run/pg' dbname='d' user='you' ".to_owned()]),
            ("postgres://h?ssl=true", vec!["host='h' sslmode='require' ".to_owned()]),
        ] {
            let expected: Vec<_> = told.iter().map(|words| format!("{words}{REST}")).collect();
            let strings: Vec<_> = read(url).connection_strings().iter().map(|text| text.to_string()).collect();
            assert_eq!(strings, expected, "{url}");
        }
        assert!(
            read("postgres://h?connect_timeout=9").connection_strings()[0].contains("connect_timeout='9' tcp_user")
        );
    }

    #[test]
    fn what_a_driver_would_read_otherwise_is_refused_without_a_word_of_it() {
        for url in [
            "postgres://sd:100%sure@h/sd",
            "postgres://sd:hunter2%@h/sd",
            "postgres://sd:hunter2%ff@h/sd",
            "postgres://sd:hunter2%00@h/sd",
            "postgres://sd:hun@ter2@h/sd",
            "postgres://sd:hun/ter2@h/sd",
            "postgres://sd:12/hunter2@h/sd",
            "postgres://sd:12?hunter2@h/sd",
            "postgres://sd:12#hunter2@h/sd",
            "postgres://sd:hun ter2@h/sd",
            "postgres://sd:hun\nter2@h/sd",
            "postgres://sd:pw@h/sd?hunter2",
            "postgres://sd:pw@h/sd?hunter2=1",
            "postgres://sd:pw@h/sd?password=a&hunter2=1",
            "postgres://sd:pw@h/sd?sslmode=hunter2",
            "postgres://sd:pw@h/sd?connect_timeout=hunter2",
            "postgres://sd:pw@h/sd?connect_timeout=0",
            "postgres://sd:pw@h/sd?target_session_attrs=standby",
            "postgres://sd:pw@h:hunter2/sd",
            "postgres://sd:pw@h:0/sd",
            "postgres://sd:pw@[hunter2/sd",
            "postgres://sd:pw@hun(ter2/sd",
            "postgres://a,b/sd?port=1,2,3",
            "host=h user=sd password=hunter2",
            "\"postgres://sd:hunter2@h/sd\"",
        ] {
            let why = PostgresUrl::parse(url).expect_err(url);
            assert!(!why.contains("ter2") && !why.contains("sure") && !why.contains("sd"), "{url}: {why}");
        }
    }

    #[test]
    fn nothing_secret_is_shown_nor_left_in_a_message() {
        for (url, shown) in [
            (
                "postgres://ana:hunter2@db.example.org:5432/app?sslmode=require",
                "postgres://ana:***@db.example.org:5432/app?sslmode=require",
            ),
            (
                "postgres://a:1,[::1]:2/d?sslpassword=hunter2&options=-c%20x",
                "postgres://a:1,[::1]:2/d?sslpassword=***&options=***",
            ),
            ("postgres://h/d?password=hunter2&user=ana", "postgres://ana:***@h/d"),
        ] {
            let url = read(url);
            assert_eq!((url.to_string().as_str(), format!("{url:?}").contains("hunter2")), (shown, false));
        }
        let url = read("postgres://ana:hun%74er2@h/app?sslpassword=other-one");
        let said = url.scrub("no \"hunter2\" for ana in app, nor other-one");
        assert_eq!(said, "no \"***\" for ana in app, nor ***");
    }
}
