//! Records of any bytes, as Redis might hold them: reading never panics, and what is read is spelled as it was written.
//! The input is tried as it stands, and with the check that it ought to have, so that the fields behind it are reached.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessiond::domain::{Token, TokenHash};
use sessiond::live::Record;

static HASH: LazyLock<TokenHash> =
    LazyLock::new(|| Token::parse("01937c5e-7b1a-7c3d-8e4f-001122334455").expect("a token").hash());
static OTHER: LazyLock<TokenHash> =
    LazyLock::new(|| Token::parse("01937c5e-7b1a-7c3d-8e4f-001122334456").expect("a token").hash());

/// URL-safe base64 of six bytes: two full groups of three.
fn base64(bytes: [u8; 6]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let group = |group: &[u8]| {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| ALPHABET[bits >> shift & 63])
    };
    bytes.chunks(3).flat_map(group).collect()
}

fn read(text: &[u8]) {
    let Some(record) = Record::parse(text, &HASH) else { return };
    assert_eq!(record.to_text(&HASH).as_bytes(), text, "a record has one spelling");
    assert!(Record::parse(text, &OTHER).is_none(), "it was believed in another's place");
    let deadlines = record.deadlines();
    let _ = deadlines.idle_expires();
    let _ = deadlines.record_lifetime(record.last_seen);
}

fuzz_target!(|data: &[u8]| {
    read(data);
    let stamp = b"AAAAAAAAAAA";
    read(&[b"1 ".as_slice(), stamp, b" ", &base64(HASH.check_of(data)), b" ", data].concat());
});
