//! What the cookie is, and what it is not: tests of [`super`].

use actix_web::cookie::CookieJar;

use super::*;
use crate::domain::SystemRandom;

fn cookie() -> SessionCookie {
    let key = Key::from(&[7; 64]);
    let name = "__Host-session";
    let verifier = Verifier::new(&key);
    let fingerprints = RandomState::new();
    let stale = StaleCookies::new(name, &Config::from_pairs([]).unwrap());
    let removal = removal(name, None, "/").unwrap();
    SessionCookie { name, domain: None, key, verifier, removal, stale, fingerprints }
}

fn signed(token: &str) -> String {
    let mut jar = CookieJar::new();
    jar.signed_mut(cookie().key()).add(Cookie::new("__Host-session", token.to_owned()));
    jar.delta().next().unwrap().encoded().to_string()
}

fn token() -> Token {
    Token::generate(&SystemRandom)
}

fn request<B: AsRef<[u8]>>(lines: &[B]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line.as_ref()).unwrap());
    }
    headers
}

fn is_one(presented: &Presented, expected: &Token) -> bool {
    matches!(presented, Presented::One(token) if token == expected)
}

#[test]
fn one_signed_cookie_is_read_among_others_and_over_several_headers() {
    let token = token();
    let ours = signed(&token.expose());
    for lines in [
        vec![ours.clone()],
        vec![format!("a=b; {ours};c=d")],
        vec!["garbage; =x; y".to_owned(), ours.clone()],
        vec![format!("__host-session=x; __HOST-session=y; {ours}")],
    ] {
        assert!(is_one(&cookie().read(&request(&lines)), &token), "{lines:?}");
    }
}

#[test]
fn a_byte_that_is_not_utf8_hides_only_its_own_cookie() {
    let token = token();
    let line = [b"bad=\xff; ".as_slice(), signed(&token.expose()).as_bytes()].concat();
    let mut headers = request(&[line]);
    let presented = cookie().read(&headers);
    assert!(is_one(&presented, &token));
    cookie().let_through(&mut headers, &presented, LetThrough::All);
    assert_eq!(headers.get(COOKIE).unwrap(), signed(&token.expose()).as_str());
}

#[test]
fn several_cookies_of_the_name_tell_whose_they_are_and_open_nothing() {
    let (one, two) = (token(), token());
    let [good, second, other] = [signed(&one.expose()), signed(&two.expose()), "__Host-session=x".to_owned()];
    for (lines, expected) in [
        (vec![format!("{good}; {other}")], vec![one.hash()]),
        (vec![other.clone(), good.clone()], vec![one.hash()]),
        (vec![good.clone(), good.clone()], vec![one.hash()]),
        (vec![format!("{good}; {other}; {second}")], vec![one.hash(), two.hash()]),
        (vec![format!("{good}{}", format!("; {other}").repeat(MOST - 1))], vec![one.hash()]),
        (vec![other.clone(), other.clone()], Vec::new()),
    ] {
        let mut headers = request(&lines);
        let presented = cookie().read(&headers);
        assert!(matches!(presented, Presented::Several(_)), "{lines:?}");
        let hashes = presented.hashes();
        assert!(hashes.len() == expected.len() && expected.iter().all(|hash| hashes.contains(hash)), "{lines:?}");
        cookie().let_through(&mut headers, &presented, LetThrough::All);
        assert!(!headers.contains_key(COOKIE), "{lines:?}");
    }
    let presented = cookie().read(&request(&[format!("{good}{}", format!("; {other}").repeat(MOST))]));
    assert!(matches!(presented, Presented::TooMany) && presented.hashes().is_empty());
}

/// H-01, H-02: what browsers do not take for the prefix, and a sibling host may set.
#[test]
fn h_02_a_name_with_another_blank_around_it_is_another_name() {
    let ours = signed(&token().expose());
    let blanks =
        (0..=0x3000).filter_map(char::from_u32).filter(|c| c.is_whitespace() && !" \t\r\n\u{b}\u{c}".contains(*c));
    let mut tried = 0;
    for blank in blanks {
        tried += 1;
        let (name, value) = ours.split_once('=').unwrap();
        for line in [format!("{blank}{ours}"), format!("{name}{blank}={value}")] {
            let mut headers = request(&[&line]);
            let presented = cookie().read(&headers);
            assert!(matches!(presented, Presented::Nothing), "{line:?}");
            cookie().let_through(&mut headers, &presented, LetThrough::All);
            assert!(!headers.contains_key(COOKIE), "{line:?} reaches a reader that takes it off");
            let both = request(&[format!("{line}; {ours}")]);
            assert!(matches!(cookie().read(&both), Presented::One(_)), "{line:?} locks nobody out");
        }
        assert!(matches!(cookie().read(&request(&[format!("{ours}{blank}")])), Presented::Invalid), "{blank:?}");
    }
    assert!(tried >= 15, "{tried}");
    assert!(matches!(cookie().read(&request(&[format!("a=b; \t {ours} \t; c=d")])), Presented::One(_)));
}

#[test]
fn what_we_did_not_sign_is_invalid() {
    let good = signed(&token().expose());
    let long = format!("{good}{}", "a".repeat(5_000));
    for line in ["__Host-session=", "__Host-session=x", &good.replacen('=', "=A", 1), &signed("not a token"), &long] {
        assert!(matches!(cookie().read(&request(&[line])), Presented::Invalid), "{line}");
    }
    let another_case = good.replace("__Host-", "__HOST-");
    assert!(matches!(cookie().read(&request(&[another_case])), Presented::Nothing));
    assert!(matches!(cookie().read(&HeaderMap::new()), Presented::Nothing));
}

#[test]
fn a_name_that_only_decodes_to_ours_never_reaches_a_reader_that_decodes() {
    let token = token();
    let ours = signed(&token.expose());
    let mut headers = request(&[format!("__Host%2Dsession=evil; theme=dark; {ours}")]);
    let presented = cookie().read(&headers);
    assert!(is_one(&presented, &token));
    cookie().let_through(&mut headers, &presented, LetThrough::All);
    assert_eq!(headers.get(COOKIE).unwrap().to_str().unwrap(), format!("theme=dark; {ours}"));
    cookie().let_through(&mut headers, &presented, LetThrough::Session);
    assert_eq!(headers.get(COOKIE).unwrap(), ours.as_str());
    cookie().let_through(&mut headers, &presented, LetThrough::Nothing);
    assert!(!headers.contains_key(COOKIE));
}

#[test]
fn the_removal_has_the_attributes_that_the_cookie_was_set_with() {
    let removal = cookie().removal();
    let text = removal.to_str().unwrap();
    for part in ["__Host-session=;", "Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=0"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("Domain"));
    assert!(
        super::removal("__Secure-session", Some("example.org"), "/")
            .unwrap()
            .to_str()
            .unwrap()
            .contains("Domain=example.org")
    );
}

#[test]
fn only_our_cookie_is_changed_in_an_answer() {
    let answer = |change| {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("theme=dark"));
        headers.append(SET_COOKIE, HeaderValue::from_static("__Host-session=t; Path=/"));
        cookie().settle(&mut headers, change);
        headers.get_all(SET_COOKIE).map(|line| line.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let day = Duration::from_secs(86_400);
    assert_eq!(answer(CookieAnswer::AsSet), ["theme=dark", "__Host-session=t; Path=/"]);
    assert_eq!(answer(CookieAnswer::Lasts(day)), ["theme=dark", "__Host-session=t; Path=/; Max-Age=86400"]);
    assert_eq!(answer(CookieAnswer::Lasts(day * 500)).last().unwrap(), "__Host-session=t; Path=/; Max-Age=34560000");
    assert_eq!(answer(CookieAnswer::Left), ["theme=dark"]);
    assert_eq!(answer(CookieAnswer::Removed).last().unwrap(), cookie().removal().to_str().unwrap());
}
