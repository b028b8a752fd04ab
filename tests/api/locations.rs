//! Where addresses are: the location files, found good or not at the start, and exchanged while the server runs.
//!
//! Owns the proof that sign-in goes on whatever happens to a file, and that what stands in one is text.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sessiond::service::Locator;

use crate::api::travel::World;
use crate::support::client::SignedIn;
use crate::support::mmdb::{
    CARRIER, Files, GERMANY, HOSTILE, HOSTILE_NAME, LISBON, MADRID, Mmdb, NOWHERE, SAO_PAULO, places,
};
use crate::support::process::{Process, command_line};
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;
use crate::support::wait::{stopwatch, until_found};

const SOON: Duration = Duration::from_secs(15);

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn opened(files: &Files) -> Locator {
    Locator::open(&[files.path("city.mmdb"), files.path("asn.mmdb")]).expect("good files")
}

fn refusal(path: PathBuf) -> String {
    let sentence = Locator::open(std::slice::from_ref(&path)).err().expect("a bad file is refused");
    sentence.replace(&path.display().to_string(), "FILE")
}

#[test]
fn files_say_where_an_address_is_in_both_families() {
    let files = Files::of_the_world();
    let locator = opened(&files);
    let place = |address| {
        let place = locator.place(ip(address));
        format!("{} / {}", place.words(), place.network_words())
    };
    assert_eq!(place(LISBON), "Lisbon, PT / AS3243 (MEO)");
    assert_eq!(place(SAO_PAULO), "São Paulo, BR / AS270699 (VIVO)");
    assert_eq!(place(GERMANY), "DE / AS3320 (DTAG)");
    assert_eq!(place(CARRIER[2]), "Tokyo, JP / AS12430 (ONE CARRIER)");
    for unknown in [NOWHERE, "2001:db8:ffff::1", "::1", "127.0.0.1", "0.0.0.0", "255.255.255.255"] {
        assert_eq!(place(unknown), "an unknown place / an unknown network", "{unknown}");
    }
    let point = locator.place(ip(LISBON)).point.expect("a point");
    assert!((point.latitude() - 38.72).abs() < 1e-9 && (point.longitude() + 9.14).abs() < 1e-9);
}

#[test]
fn the_flat_fields_of_other_vendors_are_read_and_one_bad_field_spoils_no_other() {
    let files = Files::of_the_world();
    let flat = json!({ "country": "Portugal", "country_code": "PT", "asn": "AS3243", "as_name": "MEO" });
    let odd = json!({
        "country": { "iso_code": 7 }, "city": { "names": { "en": ["a", "b"] } },
        "location": { "latitude": "north", "longitude": 1.0 }, "autonomous_system_number": 9,
    });
    let whole = json!({ "country": { "iso_code": "toolong" }, "location": { "latitude": 999.0, "longitude": 0.5 } });
    let mixed = Mmdb::default().with("192.0.2.0/24", flat).with("198.51.100.0/24", odd).with("203.0.113.0/24", whole);
    let locator = Locator::open(&[files.write("mixed.mmdb", &mixed.bytes())]).expect("a good file");
    let portugal = locator.place(ip(LISBON));
    assert_eq!(
        (portugal.country.as_deref(), portugal.asn, portugal.network.as_deref()),
        (Some("PT"), Some(3_243), Some("MEO"))
    );
    let odd = locator.place(ip(MADRID));
    assert_eq!((odd.country, odd.city, odd.point, odd.asn), (None, None, None, Some(9)));
    assert_eq!(locator.place(ip("203.0.113.1")), sessiond::domain::Place::default());
}

#[test]
fn a_bad_file_is_refused_in_one_sentence() {
    let files = Files::of_the_world();
    let good = places("Lisbon").bytes();
    assert_eq!(refusal(files.path("none.mmdb")), "FILE: No such file or directory (os error 2).");
    assert_eq!(refusal(files.path("")), "FILE: it is not a file.");
    let corrupt = |name: &str, bytes: &[u8]| {
        let sentence = refusal(files.write(name, bytes));
        assert!(sentence.starts_with("FILE: it is not a valid file in MaxMind's format: "), "{name}: {sentence}");
        assert_eq!(sentence.lines().count(), 1);
    };
    corrupt("empty.mmdb", b"");
    corrupt("text.mmdb", b"country,city\nPT,Lisbon\n");
    corrupt("zeros.mmdb", &vec![0; 1_000_000]);
    for end in [good.len() / 4, good.len() / 2, good.len() - 20] {
        corrupt("cut.mmdb", &good[..end]);
    }
    // The end is there, but the data is not what the tree says.
    let mut broken = good.clone();
    let data = good.windows(7).position(|window| window == b"country").expect("the word is there");
    broken[data - 2..data + 200].fill(0xff);
    corrupt("broken.mmdb", &broken);
    let nothing = Mmdb::default().with("192.0.2.0/24", json!({ "is_anonymous": 1 }));
    assert_eq!(
        refusal(files.write("nothing.mmdb", &nothing.bytes())),
        "FILE: it has no country and no network for any address (its type is \"Test-City\")."
    );
}

#[test]
fn bytes_of_any_kind_neither_panic_nor_hang() {
    let files = Files::of_the_world();
    let good = places("Lisbon").bytes();
    let (mut state, mut taken) = (0x2545_f491_4f6c_dd1d_u64, 0);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1_000_003).expect("it is small")
    };
    for _ in 0..400 {
        let mut bytes = good.clone();
        for _ in 0..=next() % 8 {
            let (at, to) = (next() % bytes.len(), next());
            bytes[at] = u8::try_from(to % 256).expect("a byte");
        }
        if let Ok(locator) = Locator::open(&[files.write("fuzz.mmdb", &bytes)]) {
            taken += 1;
            for address in [LISBON, SAO_PAULO, HOSTILE, NOWHERE] {
                locator.place(ip(address));
            }
        }
    }
    println!("of 400 damaged files {taken} are still good enough to be read");
}

#[test]
fn a_file_that_changes_is_exchanged_and_a_bad_one_is_not() {
    let files = Files::of_the_world();
    let locator = opened(&files);
    let city = || {
        locator.reload();
        locator.place(ip(LISBON)).city.expect("a city")
    };
    assert_eq!(city(), "Lisbon");
    files.replace("city.mmdb", &places("Lisboa").bytes());
    assert_eq!(city(), "Lisboa", "renamed over the old one");
    files.write("city.mmdb", &places("Olisipo").bytes());
    assert_eq!(city(), "Olisipo", "written over the old one");
    let good = places("Felicitas Julia").bytes();
    for bad in [&good[..good.len() / 2], b"", b"no database"] {
        files.write("city.mmdb", bad);
        assert_eq!(city(), "Olisipo", "what is half written is not taken");
    }
    fs::remove_file(files.path("city.mmdb")).expect("it is there");
    assert_eq!(city(), "Olisipo", "gone");
    files.write("city.mmdb", &good);
    assert_eq!(city(), "Felicitas Julia");
    assert_eq!(locator.place(ip(LISBON)).asn, Some(3_243), "the other file is as it was");
}

#[test]
fn a_start_with_a_bad_file_is_one_sentence_and_an_exit() {
    let server = crate::support::settings::Settings::new();
    let files = Files::of_the_world();
    let good = server.clone().with("SESSIOND_GEOIP_DB", &files.setting());
    assert!(command_line(&good, &["check-config"], "").status.success());
    let bad = files.write("bad.mmdb", b"nonsense");
    for (path, why) in [
        (bad.display().to_string(), "it is not a valid file in MaxMind's format"),
        ("/nowhere/at/all.mmdb".to_owned(), "No such file or directory"),
    ] {
        let settings = server.clone().with("SESSIOND_GEOIP_DB", &format!("{},{path}", files.setting()));
        let output = command_line(&settings, &[], "");
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(last.starts_with(&format!("sessiond: SESSIOND_GEOIP_DB: {path}: {why}")), "{said}");
        // Whoever checks the settings is told before it matters.
        let checked = command_line(&settings, &["check-config"], "");
        let told = String::from_utf8_lossy(&checked.stderr);
        assert_eq!((checked.status.code(), told.lines().last()), (Some(2), Some(last)), "a wrong setting: {told}");
        assert!(checked.stdout.is_empty(), "{checked:?}");
        // The command line asks for no place and needs no file.
        assert!(command_line(&settings, &["migrate"], "").status.success());
    }
}

#[tokio::test]
async fn a_bad_file_at_reload_is_logged_once_and_sign_in_goes_on() {
    let files = Files::of_the_world();
    let settings = crate::support::settings::Settings::new()
        .with("SESSIOND_GEOIP_DB", &files.setting())
        .with("SESSIOND_TRUSTED_PROXIES", "127.0.0.1")
        .with("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For");
    let mut process = Process::start(&settings);
    let lines = |what: &str| process.output().lines().filter(|line| line.contains(what)).count();
    let person = process.anonymous().sign_up().await;
    files.write("city.mmdb", b"nonsense");
    until_found("the log says it", SOON, || (lines("stays in use") == 1).then_some(()));
    assert_eq!(place_of(&process, &person.email).await, "Lisbon, PT");
    files.replace("city.mmdb", &places("Lisboa").bytes());
    until_found("the log says it", SOON, || (lines("read again") == 1).then_some(()));
    assert_eq!(place_of(&process, &person.email).await, "Lisboa, PT");
    assert_eq!((lines("stays in use"), lines("read again")), (1, 1), "once each:\n{}", process.output());
    assert!(process.terminate());
}

/// What a new sign-in from Lisbon is told of its place.
async fn place_of(process: &Process, email: &str) -> String {
    let visitor = process.anonymous();
    let body = json!({ "email": email, "password": crate::support::client::PASSWORD });
    let call = visitor.call(reqwest::Method::POST, "/login").header("X-Forwarded-For", LISBON);
    let answer = call.json(&body).send().await;
    answer.assert_status(200).json()["session"]["location"].as_str().unwrap_or_default().to_owned()
}

/// Where its owner is told that a session is, when it asks from there.
async fn location_of(session: &SignedIn, address: &str) -> Value {
    let asked = session.call(Method::GET, "/me").header("X-Forwarded-For", address).send().await;
    asked.assert_status(200).json()["session"]["location"].clone()
}

on_each_backend! {
    async fn where_a_session_is_from_is_in_its_row_and_in_the_list(server: TestServer) {
        let world = World::beside(&server, &[]).await;
        let person = server.signed_in().await;
        let row = |id: &str| {
            let sql = format!(
                "SELECT coalesce(country, '-') || '|' || coalesce(city, '-') || '|' \
                 || coalesce(CAST(asn AS TEXT), '-') || '|' || coalesce(network, '-') || '|' \
                 || CASE WHEN latitude IS NULL THEN '-' ELSE 'at' END AS value FROM sessions WHERE id = '{id}'"
            );
            server.stores.database.value(&sql)
        };
        assert_eq!(row(&person.session_id), "-|-|-|-|-", "a node without a file");
        for (address, expected, location) in [
            (LISBON, "PT|Lisbon|3243|MEO|at", json!("Lisbon, PT")),
            (SAO_PAULO, "BR|São Paulo|270699|VIVO|at", json!("São Paulo, BR")),
            (GERMANY, "DE|-|3320|DTAG|at", json!("DE")),
            (NOWHERE, "-|-|-|-|-", Value::Null),
        ] {
            let session = world.session(&person, address).await;
            assert_eq!(row(&session.session_id), expected);
            assert_eq!(location_of(&session, address).await, location);
        }
        // Text, whoever wrote it: PostgreSQL would refuse the NUL, a terminal obey the escape.
        let hostile = world.session(&person, HOSTILE).await;
        let kept = HOSTILE_NAME.replace(['\u{0}', '\u{1b}', '\u{202e}'], "");
        assert_eq!(location_of(&hostile, HOSTILE).await, json!(format!("{kept}, PT")));
        assert_eq!(row(&hostile.session_id), format!("PT|{kept}|3243|{kept}|at"));
    }

    async fn a_file_can_be_replaced_under_load(server: TestServer) {
        let world = World::beside(&server, &[]).await;
        let person = server.signed_in().await;
        let watch = stopwatch();
        let (mut signed_in, mut replaced) = (0, 0);
        while watch() < Duration::from_secs(5) {
            let name = if replaced % 2 == 0 { "Lisboa" } else { "Lisbon" };
            match replaced % 3 {
                0 => world.files.replace("city.mmdb", &places(name).bytes()),
                1 => drop(world.files.write("city.mmdb", &places(name).bytes())),
                _ => drop(world.files.write("city.mmdb", b"nonsense")),
            }
            replaced += 1;
            for _ in 0..5 {
                world.session(&person, LISBON).await;
                signed_in += 1;
            }
        }
        let count = |condition: &str| server.stores.database.count("sessions", condition);
        let known = count("country = 'PT' AND city IN ('Lisbon', 'Lisboa') AND asn = 3243");
        println!("{signed_in} sign-ins while the file was replaced {replaced} times; with a place: {known}");
        assert_eq!(known, signed_in);
    }
}
