//! Which targets are allowed and which are not: tests of [`super`].

use proptest::prelude::{ProptestConfig, Strategy, prop};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;

fn destinations() -> Destinations {
    Destinations {
        origins: vec!["https://app.example.org".to_owned(), "http://localhost:8080".to_owned()],
        shares_cookie: false,
        public_url: "https://app.example.org/auth".to_owned(),
        base_path: "/auth".to_owned(),
        has_complained: Arc::default(),
    }
}

fn location(text: &str) -> Option<String> {
    destinations().judge(text).map(|next| next.location)
}

#[test]
fn v3_7_2_what_may_be_followed_is_written_anew() {
    for (text, expected) in [
        ("/", "/"),
        ("/account", "/account"),
        ("/deep/page?x=1&y=%2F%2Fz#part", "/deep/page?x=1&y=%2F%2Fz#part"),
        ("/a/../b/./c", "/b/c"),
        ("/a//b", "/a//b"),
        ("/a?to=https://evil.example", "/a?to=https://evil.example"),
        ("/a@evil.example", "/a@evil.example"),
        ("/é/ç", "/%C3%A9/%C3%A7"),
        ("/%0d%0aSet-Cookie:x", "/%0d%0aSet-Cookie:x"),
        ("/%5cevil.example", "/%5cevil.example"),
        ("/list?ids=1,2", "/list?ids=1,2"),
        ("/a b?c d#e f", "/a%20b?c%20d#e%20f"),
        ("/a?b=\\c#\\", "/a?b=\\c#\\"),
        ("/\u{2028}\u{a0}x\u{fffd}", "/%E2%80%A8%C2%A0x%EF%BF%BD"),
        ("HTTPS://app.example.org//x", "https://app.example.org//x"),
        ("https://app.example.org:/x", "https://app.example.org/x"),
        ("https://app.example.org", "https://app.example.org/"),
        ("https://app.example.org:443/x?y#z", "https://app.example.org/x?y#z"),
        ("https://APP.Example.org/x", "https://app.example.org/x"),
        ("https://app.example.org/../x", "https://app.example.org/x"),
        ("https://app.example.org?x", "https://app.example.org/?x"),
        ("http://localhost:8080/x", "http://localhost:8080/x"),
    ] {
        assert_eq!(location(text).as_deref(), Some(expected), "{text}");
    }
}

/// Texts that parsers disagree about, texts that only look like one of our origins, and texts without any target.
const NOWHERE: &[&str] = &[
    "",
    "account",
    "./account",
    "?x",
    "#x",
    ":",
    "http:",
    "https://",
    "//",
    "//evil.example",
    "///evil.example",
    "//app.example.org/x",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/x\\..\\y",
    "/.//evil.example",
    "/..//evil.example",
    "/a/..//evil.example",
    "/%2e//evil.example",
    "/./%2e%2E//evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\nLocation: https://evil.example",
    " /x",
    "/x ",
    "\u{a0}/x",
    "\0/x",
    "/\u{7f}",
    "/\u{85}",
    "\u{feff}/x",
    "https:/app.example.org/x",
    "https:app.example.org/x",
    "https:///app.example.org/x",
    "https://evil.example",
    "https://app.example.org.evil.example/",
    "https://app.example.orgevil.example",
    "https://evil.example/app.example.org",
    "https://evil.example?https://app.example.org",
    "https://evil.example#https://app.example.org",
    "https://app.example.org@evil.example/",
    "https://app.example.org:x@evil.example/",
    "https://user@app.example.org/",
    "https://:pass@app.example.org/",
    "https://@app.example.org/",
    "https://app.example.org\\@evil.example/",
    "https://evil.example\\.app.example.org/",
    "https://app.example.org./",
    "https://app.example.org:8443/",
    "http://app.example.org/",
    "http://localhost/",
    "http://localhost:8081/",
    "http://127.0.0.1:8080/",
    "https://localhost:8080/",
    "ws://app.example.org/",
    "ftp://app.example.org/",
    "javascript:alert(1)",
    "javascript://app.example.org/%0aalert(1)",
    "data:text/html,x",
    "blob:https://app.example.org/x",
    "view-source:https://app.example.org/",
    "https://app%2eexample.org%2f@evil.example",
    "https://app.example.org%00.evil.example/",
    "https://[::1]/",
];

#[test]
fn v3_7_2_nothing_else_leads_anywhere() {
    for text in NOWHERE {
        assert_eq!(location(text), None, "{text:?}");
    }
    assert!(location(&format!("/{}", "a".repeat(LONGEST - "next=%2F".len()))).is_some());
    assert_eq!(location(&format!("/{}", "a".repeat(LONGEST - "next=%2F".len() + 1))), None);
}

#[test]
fn one_next_is_read_out_of_a_query_and_comes_out_as_it_went_in() {
    let read = |query: &str| destinations().in_query(query).map(|next| next.location);
    assert_eq!(read("next=/a").as_deref(), Some("/a"));
    assert_eq!(read("x=1&next=%2Fa%3Fb%3D1%26c%3D2%2B3%23d&y").as_deref(), Some("/a?b=1&c=2+3#d"));
    for query in [
        "",
        "next",
        "next=",
        "next=/a&next=/a",
        "next=/a&next=//evil.example",
        "Next=/a",
        "next=%FF",
        "next=%00/a",
        "next=+/a",
    ] {
        assert_eq!(read(query), None, "{query}");
    }
    for text in ["/a?b=1&c=2+3%20#d", "https://app.example.org/x?next=%2Fy&a=%26", "/%C3%A9?=&&"] {
        let next = destinations().judge(text).unwrap();
        assert_eq!(destinations().in_query(&next.query()), Some(next), "{text}");
    }
}

#[test]
fn people_are_sent_to_sign_in_where_the_cookie_comes_back_from() {
    let bounce = |destinations: &Destinations, text: &str| destinations.way_in(destinations.judge(text).as_ref());
    let alone = destinations();
    assert_eq!(
        bounce(&alone, "https://app.example.org/x?y=1"),
        "https://app.example.org/auth/bounce?next=https%3A%2F%2Fapp.example.org%2Fx%3Fy%3D1"
    );
    assert!(bounce(&alone, "http://localhost:8080/x").starts_with("http://localhost:8080/auth/bounce?next="));
    assert_eq!(bounce(&alone, "https://evil.example/"), "https://app.example.org/auth/");
    let shared = Destinations { shares_cookie: true, ..destinations() };
    assert!(bounce(&shared, "http://localhost:8080/x").starts_with("https://app.example.org/auth/bounce?next="));

    let page = alone.judge("http://localhost:8080/x").unwrap();
    for (host, reaches) in [(Some("localhost"), true), (Some("app.example.org"), false), (None, false)] {
        assert_eq!(alone.cookie_reaches(&page, host), reaches, "{host:?}");
    }
    assert!(shared.cookie_reaches(&page, None) && alone.cookie_reaches(&alone.judge("/x").unwrap(), None));
}

/// Texts made of parts that parsers disagree about; most look like a path or one of our origins.
fn hostile() -> impl Strategy<Value = String> {
    let first = prop::sample::select(vec![
        "/",
        "/.",
        "/a/..",
        "https://app.example.org",
        "http://localhost:8080",
        "https:",
        "",
    ]);
    let often = ["/", "//", "\\", ".", "..", "%2e", "@", ":", "evil.example"];
    let seldom = [
        "/\\",
        "%2f",
        "%5c",
        "?",
        "#",
        ";",
        "&",
        "\t",
        "\n",
        " ",
        "\0",
        "http://",
        "https://",
        "app.example.org",
        "javascript:",
        "next=",
        "é",
        "\u{2f}\u{338}",
        "\u{ff0f}",
        "\u{3002}",
        "%00",
        "%0d%0a",
        "[::1]",
        "a",
        "x:y@",
        "0x7f.1",
    ];
    let part = prop_oneof![3 => prop::sample::select(often.to_vec()), 1 => prop::sample::select(seldom.to_vec())];
    (first, prop::collection::vec(part, 0..6)).prop_map(|(first, rest)| format!("{first}{}", rest.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Follows the target as a browser at either origin, below either path, would.
    #[test]
    fn v3_7_2_whatever_is_let_through_stays_at_the_configured_origins(text in hostile()) {
        if let Some(next) = destinations().judge(&text) {
            prop_assert!(next.location.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", next);
            prop_assert!(!next.location.contains('\\') || next.location.contains(['?', '#']), "{:?}", next);
            for at in ["https://app.example.org/auth/continue?next=x", "http://localhost:8080/continue", "https://third.example/continue"] {
                let at = Url::parse(at).unwrap();
                let to = at.join(&next.location).unwrap();
                let origin = to.origin().ascii_serialization();
                prop_assert!(to.origin() == at.origin() || destinations().origins.contains(&origin), "{:?} leads to {}", text, to);
                prop_assert!(to.username().is_empty() && to.password().is_none(), "{}", to);
            }
        }
    }

    /// Every URL that RFC 3986 and the WHATWG's URL code points allow passes, and leads a browser to that URL.
    #[test]
    fn v3_7_2_every_page_of_a_configured_origin_can_be_gone_on_to(
        origin in prop::sample::select(vec!["https://app.example.org", "http://localhost:8080"]),
        page in "(/([-A-Za-z0-9._~!$&'()*+,;=:@\u{a0}-\u{d7ff}\u{10000}-\u{1fffd}]|%[0-9A-Fa-f]{2}){0,12}){1,4}",
        query in "(\\?([-A-Za-z0-9._~!$&'()*+,;=:@/?|\\[\\]{}^`\"<>\\\\ \u{e9}]|%[0-9A-Fa-f]{2}){0,20}[a-z])?",
    ) {
        let text = format!("{origin}{page}{query}");
        let next = destinations().judge(&text);
        let expected = Url::parse(&text).unwrap();
        prop_assert_eq!(next.as_ref().map(Next::location), Some(expected.as_str()), "{}", text);
        let path = format!("{page}{query}");
        let browser = Url::parse(origin).unwrap().join(&path);
        let stays = browser.as_ref().is_ok_and(|to| to.origin() == expected.origin() && !to.path().starts_with("//"));
        prop_assert_eq!(destinations().judge(&path).is_some(), stays, "{} leads to {:?}", path, browser);
    }

    #[test]
    fn any_text_at_all_is_judged_without_harm(text in ".{0,60}") {
        if let Some(next) = destinations().judge(&text) {
            prop_assert!(next.location.starts_with('/') || next.location.starts_with("http"));
        }
    }
}
