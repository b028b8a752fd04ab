//! Cookie headers of any bytes: reading them never panics, what is believed is what actix-session's own jar believes, and
//! what is let through to it is read there in the same way. The rest of the input is shown as a CSRF token.
#![no_main]

use std::sync::{Arc, LazyLock};

use actix_web::cookie::{Cookie, CookieJar, Key};
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sessiond::config::Config;
use sessiond::domain::{SystemRandom, Token};
use sessiond::http::cookie::{LetThrough, Presented, SessionCookie};
use sessiond::http::csrf_token::{self, CsrfTokens, Shown};

/// Base64 of the bytes 0 … 63.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
const TOKEN: &str = "01937c5e-7b1a-7c3d-8e4f-001122334455";

static COOKIE_OF_OURS: LazyLock<SessionCookie> = LazyLock::new(|| {
    let config = Config::from_pairs([("SESSIOND_COOKIE_KEY", KEY)]).expect("settings");
    SessionCookie::new(&config, &SystemRandom).expect("a cookie")
});

static CSRF_TOKENS: LazyLock<CsrfTokens> =
    LazyLock::new(|| CsrfTokens::new(COOKIE_OF_OURS.key(), Arc::new(SystemRandom)));

/// A good pair, to be put in where the input has a `\x01`: nobody guesses a signature.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut jar = CookieJar::new();
    jar.signed_mut(COOKIE_OF_OURS.key()).add(Cookie::new("__Host-session", TOKEN));
    jar.delta().next().expect("a cookie").encoded().to_string().into_bytes()
});

fn by_jar(key: &Key, pair: &str) -> Option<Token> {
    let cookie = Cookie::parse_encoded(pair.to_owned()).ok()?;
    Token::parse(CookieJar::new().signed(key).verify(cookie)?.value())
}

fuzz_target!(|data: &[u8]| {
    let text: Vec<u8> = data.iter().flat_map(|byte| if *byte == 1 { GOOD.clone() } else { vec![*byte] }).collect();
    let mut headers = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, line);
        }
    }
    let presented = COOKIE_OF_OURS.read(&headers);
    for which in [LetThrough::All, LetThrough::Session, LetThrough::Nothing] {
        let mut left = headers.clone();
        COOKIE_OF_OURS.let_through(&mut left, &presented, which);
        // What another reader makes of what is left: the first of the name, decoded.
        let line = left.get(COOKIE).map(HeaderValue::as_bytes).unwrap_or_default();
        let line = std::str::from_utf8(line).expect("one byte that is not UTF-8 hides every cookie from that reader");
        let first = line.split(';').map(str::trim).find(|pair| {
            Cookie::parse_encoded((*pair).to_owned()).is_ok_and(|cookie| cookie.name() == "__Host-session")
        });
        match (&presented, which, first) {
            (Presented::One(token), LetThrough::All | LetThrough::Session, Some(pair)) => {
                let jars = by_jar(COOKIE_OF_OURS.key(), pair);
                assert!(jars.as_ref().is_some_and(|jars| jars == token), "another reader sees another token");
            }
            (Presented::One(_), LetThrough::All | LetThrough::Session, None) => panic!("the session's cookie is lost"),
            (_, _, Some(pair)) => panic!("{pair:?} was let through"),
            (_, _, None) => {}
        }
    }
    let mut shown = HeaderMap::new();
    if let Ok(line) = HeaderValue::from_bytes(data) {
        shown.append(csrf_token::HEADER, line);
        let hashes: Vec<_> = Token::parse(TOKEN).iter().map(Token::hash).collect();
        assert_eq!(CSRF_TOKENS.shown(&shown, &hashes), Shown::Wrong, "a CSRF token was guessed");
    }
});
