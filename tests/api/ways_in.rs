//! The ways in: `next`, `/bounce`, `/continue`, and what a gateway is told to do with who has no session.

use std::time::Duration;

use reqwest::Method;

use crate::api::tools::{browser_with, cookie_line, send};
use crate::support::client::SignedIn;
use crate::support::raw::raw;
use crate::support::requests::{Call, Requests, Response};
use crate::support::server::{Backend, TestServer, on_each_backend};

const APP: &str = "https://app.example.org";
const DEEP: &str = "https://app.example.org/deep/page?x=1&y=a%2Fb";
const DEEP_ENCODED: &str = "https%3A%2F%2Fapp.example.org%2Fdeep%2Fpage%3Fx%3D1%26y%3Da%252Fb";
const GOES_ON: &str = "static/bounce.js";
const SIGN_IN: &str = "sign-in-form";

const PAGE: [(&str, &str); 3] = [
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "app.example.org"),
    ("X-Forwarded-Uri", "/deep/page?x=1&y=a%2Fb"),
];
const PERSON: [(&str, &str); 3] =
    [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Accept", "text/html,*/*;q=0.8")];

fn with<'a>(call: Call<'a>, headers: &[(&str, &str)]) -> Call<'a> {
    headers.iter().fold(call, |call, (name, value)| call.header(name, value))
}

async fn get(who: &impl Requests, path: &str, headers: &[(&str, &str)]) -> Response {
    with(who.call(Method::GET, path), headers).send().await
}

#[track_caller]
fn assert_sent(answer: &Response, status: u16, to: &str) {
    assert_eq!((answer.status, answer.header("location")), (status, Some(to)), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    assert!(answer.set_cookies().is_empty() && answer.body.is_empty(), "{answer}");
}

/// Any address at all would be under the gateway again, which would ask here again, and so on.
#[track_caller]
fn assert_says_what_to_set(answer: &Response) {
    let detail = answer.assert_problem(401, "unauthenticated").json()["detail"].to_string();
    for name in ["SESSIOND_TRUSTED_PROXIES", "X-Forwarded-Uri"] {
        assert!(detail.contains(name), "{answer}");
    }
    assert!(answer.header("location").is_none() && answer.set_cookies().is_empty(), "{answer}");
}

/// A copy of the cookie after its session has ended.
async fn ended(server: &TestServer) -> SignedIn {
    let owner = server.signed_in().await;
    let cookie = owner.cookie();
    owner.sign_out().await.assert_status(204);
    owner.with_session(&server.url(), &owner.session_id, &cookie)
}

on_each_backend! {
    async fn v3_7_2_continue_leads_who_is_signed_in_to_pages_of_configured_origins_alone(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org,http://localhost:8080" } {
        let (owner, over, visitor) = (server.signed_in().await, ended(&server).await, server.anonymous());
        assert!(over.cookie().len() > 36);
        for (next, to) in [
            ("", "account"),
            ("?next=", "account"),
            ("?next=%2Fdeep%3Fx%3D1%23part", "/deep?x=1#part"),
            (&format!("?next={DEEP_ENCODED}"), DEEP),
            ("?next=http://localhost:8080/x", "http://localhost:8080/x"),
            ("?next=https://evil.example", "account"),
            ("?next=//evil.example", "account"),
            ("?next=/%5Cevil.example", "account"),
            ("?next=%2F%09%2Fevil.example", "account"),
            ("?next=https://app.example.org@evil.example", "account"),
            ("?next=/a&next=/a", "account"),
        ] {
            let path = format!("/continue{next}");
            assert_sent(&owner.get(&path).await, 303, to);
            // Not signed in, whatever the cookie was: to the form, with what may be followed and nothing else.
            let door = if to == "account" { "./".to_owned() } else { format!("./?{}", encoded(to)) };
            for answer in [visitor.get(&path).await, over.get(&path).await] {
                assert_sent(&answer, 303, &door);
            }
        }
        owner.call(Method::HEAD, "/continue").send().await.assert_status(303);
        visitor.post("/continue").await.assert_problem(405, "method-not-allowed");
        assert!(owner.is_signed_in().await);
    }

    /// The page cannot judge a `next`: it would tell whoever is signed in that a page has sent them here.
    async fn a_next_that_leads_nowhere_is_as_if_it_were_not_there(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let (owner, visitor) = (server.signed_in().await, server.anonymous());
        for query in ["next=//evil.example/", "next=https://evil.example", "next=", "next", "next=/a&next=/b", "x=1&next=%FF"] {
            for headers in [&[][..], &[("Sec-Fetch-Site", "cross-site")]] {
                assert_sent(&get(&owner, &format!("/?{query}"), headers).await, 303, "./");
                assert_sent(&get(&visitor, &format!("/?{query}"), headers).await, 303, "./");
            }
        }
        for path in ["/", "/?x=//evil.example", "/?next=%2Fdeep"] {
            assert!(owner.get(path).await.assert_status(200).text().contains(SIGN_IN), "{path}");
        }
    }

    /// The table in docs/gateways.md.
    async fn only_who_another_site_has_sent_is_sent_on_by_itself(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org,https://other.example" } {
        let (owner, visitor) = (server.signed_in().await, server.anonymous());
        let (own, deep) = ("next=%2Fdeep%3Fx%3D1", &format!("next={DEEP_ENCODED}"));
        let host = ("Host", "app.example.org");
        for (sent_by, query, shown_at_bounce, shown_at_the_door) in [
            (Some("cross-site"), own, GOES_ON, GOES_ON),
            (Some("cross-site"), deep, GOES_ON, GOES_ON),
            // The cookie of this host does not go along there: it would be there and back.
            (Some("cross-site"), "next=https%3A%2F%2Fother.example%2F", "", SIGN_IN),
            (Some("cross-site"), "next=https%3A%2F%2Fevil.example%2F", "", ""),
            (Some("cross-site"), "", "", SIGN_IN),
            (Some("same-site"), own, "", SIGN_IN),
            (Some("same-origin"), own, "", SIGN_IN),
            (Some("none"), own, "", SIGN_IN),
            (Some("cross-site, none"), own, "", SIGN_IN),
            (None, own, "", SIGN_IN),
        ] {
            let headers: Vec<_> = sent_by.map(|site| ("Sec-Fetch-Site", site)).into_iter().chain([host]).collect();
            let what = format!("{sent_by:?} {query}");
            // The cookie changes nothing: a page says only what the way there says.
            for who in [get(&visitor, &format!("/bounce?{query}"), &headers).await, get(&owner, &format!("/bounce?{query}"), &headers).await] {
                assert_eq!(who.header("vary"), Some("Sec-Fetch-Site"), "{what}");
                if shown_at_bounce.is_empty() {
                    let kept = if query.contains("evil") || query.is_empty() { "./".to_owned() } else { format!("./?{query}") };
                    assert_sent(&who, 303, &kept);
                } else {
                    assert!(who.assert_status(200).text().contains(shown_at_bounce), "{what}: {who}");
                    assert_eq!(who.header("cache-control"), Some("no-store"));
                    assert!(who.header("content-security-policy").unwrap_or_default().contains("script-src 'self';"), "{who}");
                }
            }
            let door = get(&visitor, &format!("/?{query}"), &headers).await;
            if shown_at_the_door.is_empty() {
                assert_sent(&door, 303, "./");
            } else {
                assert!(door.assert_status(200).text().contains(shown_at_the_door), "{what}: {door}");
            }
            assert_eq!(door.header("vary"), Some("Sec-Fetch-Site"), "{what}");
        }
        let twice = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "none"), host];
        assert_sent(&get(&visitor, "/bounce?next=/a", &twice).await, 303, "./?next=%2Fa");
    }

    async fn a_gateway_that_passes_answers_on_sends_people_to_sign_in_and_nobody_else(server: TestServer)
    with {
        "SESSIOND_ORIGIN": "https://app.example.org",
        "SESSIOND_TRUSTED_PROXIES": "127.0.0.1",
        "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For",
    } {
        let (owner, over, visitor) = (server.signed_in().await, ended(&server).await, server.anonymous());
        let to = format!("{APP}/bounce?next={DEEP_ENCODED}");
        let person = [PAGE.as_slice(), &PERSON].concat();
        for path in ["/auth/forward?redirect", "/bounce"] {
            assert_sent(&get(&visitor, path, &person).await, 302, &to);
            assert_sent(&get(&over, path, &person).await, 302, &to);
            let head = [PAGE.as_slice(), &PERSON, &[("X-Forwarded-Method", "HEAD")]].concat();
            assert_sent(&get(&visitor, path, &head).await, 302, &to);
            // A browser without Sec-Fetch-…: what it takes decides, in any case and beside bytes that are no text.
            for accept in [&b"text/html"[..], b"TEXT/HTML", b"*/*;q=0.1, Text/Html;q=0.9", b"x/\xe4;y=\xff,text/html", b"text/html;name=\xfc"] {
                let call = with(visitor.call(Method::GET, path), &PAGE).header_of_bytes("Accept", accept);
                assert_sent(&call.send().await, 302, &to);
            }

            for (what, extra) in [
                ("a script", vec![("Sec-Fetch-Mode", "cors"), ("Accept", "text/html")]),
                ("an image", vec![("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image"), ("Accept", "text/html")]),
                ("a frame", vec![("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe"), ("Accept", "text/html")]),
                ("a socket", vec![("Sec-Fetch-Mode", "websocket")]),
                ("two modes", vec![("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html")]),
                ("a program", vec![("Accept", "application/json")]),
                ("another type", vec![("Accept", "text/html5, application/text/html")]),
                ("nobody in particular", vec![]),
                ("a form", [PERSON.as_slice(), &[("X-Forwarded-Method", "POST")]].concat()),
                ("no method", [PERSON.as_slice(), &[("X-Forwarded-Method", "get")]].concat()),
                ("two methods", [PERSON.as_slice(), &[("X-Forwarded-Method", "GET,POST")]].concat()),
            ] {
                let answer = get(&visitor, path, &[PAGE.as_slice(), &extra].concat()).await;
                assert!(answer.header("location").is_none(), "{what}: {answer}");
                answer.assert_problem(401, "unauthenticated");
            }
        }
        // Whoever is signed in is told as ever, and who does not ask for it is not sent anywhere.
        assert_eq!(get(&owner, "/auth/forward?redirect", &person).await.assert_status(200).header("location"), None);
        for path in ["/auth/forward", "/auth/forward?next=/a", "/auth/forward?Redirect", "/auth/forward?x=redirect"] {
            get(&visitor, path, &person).await.assert_problem(401, "unauthenticated");
        }
        // However it is asked for. What its value names is not gone on to.
        for query in ["redirect=", "redirect=1", "redirect&x", "x=1&redirect", "%72edirect=true", "redirect=https://evil.example", "redirect&redirect"] {
            assert_sent(&get(&visitor, &format!("/auth/forward?{query}"), &person).await, 302, &to);
        }
        assert_sent(&get(&visitor, "/bounce?x=1", &person).await, 302, &to);
        let post = with(visitor.call(Method::POST, "/auth/forward?redirect"), &person).send().await;
        post.assert_problem(401, "unauthenticated");
        let put = [PAGE.as_slice(), &PERSON, &[("X-Forwarded-Method", "GET")]].concat();
        with(visitor.call(Method::PUT, "/auth/forward?redirect"), &put).send().await.assert_problem(401, "unauthenticated");
    }

    async fn v3_7_2_a_page_that_may_not_be_gone_on_to_is_left_out_of_the_way_in(server: TestServer)
    with {
        "SESSIOND_ORIGIN": "https://app.example.org",
        "SESSIOND_TRUSTED_PROXIES": "127.0.0.1",
        "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For",
    } {
        let visitor = server.anonymous();
        let told = |proto, host, uri| [("X-Forwarded-Proto", proto), ("X-Forwarded-Host", host), ("X-Forwarded-Uri", uri)];
        let longest = format!("/{}", "&".repeat(3_000));
        for page in [
            told("https", "evil.example", "/"),
            told("http", "app.example.org", "/"),
            told("https", "app.example.org:8443", "/"),
            told("https", "app.example.org, evil.example", "/"),
            told("https,http", "app.example.org", "/"),
            told("https", "app.example.org@evil.example", "/"),
            told("https", "evil.example/app.example.org", "/"),
            told("https", "app.example.org", ".evil.example/"),
            told("https", "app.example.org", "@evil.example/"),
            told("https", "app.example.org", ""),
            told("https", "app.example.org", "x"),
            told("https", "app.example.org", "https://app.example.org/"),
            told("https", "app.example.org", "/\\evil.example"),
            told("https", "app.example.org", &longest),
            told("javascript", "app.example.org", "/"),
            told("", "app.example.org", "/"),
            told("https", "", "//app.example.org/"),
        ] {
            let page = [page.as_slice(), &PERSON].concat();
            for path in ["/auth/forward?redirect", "/bounce"] {
                assert_sent(&get(&visitor, path, &page).await, 302, &format!("{APP}/"));
            }
        }
        for left_out in 0..3 {
            let mut page = PAGE.to_vec();
            page.remove(left_out);
            page.extend(PERSON);
            assert_sent(&get(&visitor, "/auth/forward?redirect", &page).await, 302, &format!("{APP}/"));
        }
        // By the gateway, and by whoever asks it: nobody knows which is which.
        for told_twice in PAGE {
            let page = [PAGE.as_slice(), &[told_twice], &PERSON].concat();
            assert_sent(&get(&visitor, "/auth/forward?redirect", &page).await, 302, &format!("{APP}/"));
        }
    }

    async fn every_address_that_a_browser_can_ask_for_is_gone_on_to(server: TestServer)
    with {
        "SESSIOND_ORIGIN": "https://app.example.org",
        "SESSIOND_TRUSTED_PROXIES": "127.0.0.1",
        "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For",
        "SESSIOND_BASE_PATH": "/sessiond",
    } {
        let visitor = server.anonymous();
        let (proto, host) = ("X-Forwarded-Proto: https", "X-Forwarded-Host: app.example.org");
        for (uri, page) in [
            ("/list?ids=1,2", "/list?ids=1,2"),
            ("/a,b;c=1/(d)!*'$&+=:@~", "/a,b;c=1/(d)!*'$&+=:@~"),
            ("//a//b", "//a//b"),
            ("/%41%2F%5C%00%FF", "/%41%2F%5C%00%FF"),
            ("/?x=\\y|{z}^`[]", "/?x=\\y|{z}^`[]"),
            ("/?next=https://evil.example&next=//x", "/?next=https://evil.example&next=//x"),
            ("/ol\u{e9}?\u{fc}", "/ol%C3%A9?%C3%BC"),
        ] {
            let to = format!("{APP}/sessiond/bounce?{}", encoded(&format!("{APP}{page}")));
            let lines = [proto, host, &format!("X-Forwarded-Uri: {uri}"), "Accept: text/html"];
            for path in ["/sessiond/auth/forward?redirect", "/sessiond/bounce"] {
                let answer = send(&server, "GET", path, &lines, b"").await;
                assert_eq!((answer.status, answer.header("location")), (Some(302), vec![to.as_str()]), "{uri}: {answer:?}");
            }
            // What Envoy sends: the page's own path behind its prefix, at the page's own host.
            if uri.is_ascii() && !uri.contains('`') {
                let request = format!(
                    "GET /sessiond/auth/forward{uri} HTTP/1.1\r\nHost: app.example.org\r\nX-Forwarded-Proto: https\r\n\
                     X-Forwarded-Host: evil.example\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
                );
                let answer = raw(&server.url(), request.as_bytes()).await;
                assert_eq!((answer.status, answer.header("location")), (Some(302), vec![to.as_str()]), "{uri}: {answer:?}");
            }
        }
        visitor.get("/sessiond/auth/forward/x").await.assert_problem(401, "unauthenticated");
        let bare = visitor.get("/sessiond?next=%2Fa%3Fb&c").await;
        assert_eq!((bare.status, bare.header("location")), (307, Some("/sessiond/?next=%2Fa%3Fb&c")), "{bare}");
    }

    /// Envoy asks with the method and the path of the request itself; what stands in its query is the client's.
    async fn a_gateway_may_put_the_page_behind_the_route(server: TestServer)
    with { "SESSIOND_CSRF_METHOD_HEADER": "X-Forwarded-Method" } {
        let owner = server.signed_in().await;
        let (cookie, over) = (cookie_line(&owner), cookie_line(&ended(&server).await));
        let read = "X-Forwarded-Method: GET";
        for page in ["/", "/me", "/a%2fb%41", "/%zz", "/../me", "//x", "/?redirect", "/x?csrf_token=1&_method=GET", "/\u{7b}a\u{7d}"] {
            let path = format!("/auth/forward{page}");
            for method in ["GET", "HEAD", "OPTIONS"] {
                let answer = send(&server, method, &path, &[&cookie], b"").await;
                assert_eq!(answer.status, Some(200), "{method} {path}: {answer:?}");
                assert_eq!(answer.header("x-session-user"), [owner.user_id.as_str()], "{method} {path}");
            }
            for method in ["POST", "PUT", "DELETE", "PROPFIND"] {
                let answer = send(&server, method, &path, &[&cookie, read], b"").await;
                assert_eq!(answer.status, Some(403), "{method} {path}: {answer:?}");
            }
            for who in [over.as_str(), "X-Session-User: admin"] {
                let answer = send(&server, "GET", &path, &[who, "Accept: text/html", "X-Forwarded-Proto: https"], b"").await;
                assert_eq!((answer.status, answer.header("location").len()), (Some(401), 0), "{path}: {answer:?}");
            }
        }
        for path in ["/auth/forwarded", "/auth/forward%2fx", "/auth/%66orward/x"] {
            let answer = send(&server, "GET", path, &[&cookie], b"").await;
            assert_eq!(answer.status, Some(404), "{path}: {answer:?}");
        }
    }

    async fn v15_3_4_the_word_of_a_peer_that_is_not_trusted_counts_for_nothing(server: TestServer)
    with {
        "SESSIOND_ORIGIN": "https://app.example.org",
        "SESSIOND_TRUSTED_PROXIES": "10.0.0.0/8",
        "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For",
    } {
        let (visitor, person) = (server.anonymous(), [PAGE.as_slice(), &PERSON, &[("X-Forwarded-For", "10.0.0.1")]].concat());
        get(&visitor, "/auth/forward?redirect", &person).await.assert_problem(401, "unauthenticated");
        assert_says_what_to_set(&get(&visitor, "/bounce", &person).await);
        // Nor about the host that the browser has opened.
        let arrives = [("Sec-Fetch-Site", "cross-site"), ("X-Forwarded-Host", "app.example.org"), ("Host", "elsewhere.example")];
        assert_sent(&get(&visitor, &format!("/bounce?next={DEEP_ENCODED}"), &arrives).await, 303, &format!("./?next={DEEP_ENCODED}"));
    }
}

#[tokio::test]
async fn a_sick_store_is_503_to_a_gateway_and_no_sign_out_to_a_person() {
    let variables = [
        ("SESSIOND_ORIGIN", APP),
        ("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"),
        ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"),
    ];
    let server = TestServer::with(Backend::Embedded, &variables).await;
    let owner = server.signed_in().await;
    server.stores.database.execute("ALTER TABLE sessions RENAME TO sessions_away");
    let person = [PAGE.as_slice(), &PERSON].concat();
    let answer = get(&owner, "/auth/forward?redirect", &person).await;
    assert!(answer.header("location").is_none() && answer.header("retry-after").is_some(), "{answer}");
    assert_eq!(answer.status, 503);
    // The page itself will say so; nobody is called signed out.
    assert_sent(&owner.get("/continue?next=/deep").await, 303, "/deep");
    server.stores.database.execute("ALTER TABLE sessions_away RENAME TO sessions");
    assert!(owner.is_signed_in().await);
}

#[tokio::test]
async fn a_shared_cookie_leads_to_any_of_its_hosts() {
    let variables = [
        ("SESSIOND_ORIGIN", "https://login.example.org,https://app.example.org"),
        ("SESSIOND_COOKIE_DOMAIN", "example.org"),
        ("SESSIOND_BASE_PATH", "/auth"),
        ("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"),
        ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"),
    ];
    let server = TestServer::with(Backend::Embedded, &variables).await;
    let (visitor, person) = (server.anonymous(), [PAGE.as_slice(), &PERSON].concat());
    let to = format!("https://login.example.org/auth/bounce?next={DEEP_ENCODED}");
    assert_sent(&get(&visitor, "/auth/auth/forward?redirect", &person).await, 302, &to);
    let arrives = [("Sec-Fetch-Site", "cross-site"), ("Host", "login.example.org")];
    let page = get(&visitor, &format!("/auth/bounce?next={DEEP_ENCODED}"), &arrives).await;
    assert!(page.assert_status(200).text().contains(GOES_ON), "{page}");
    assert!(visitor.get(&format!("/auth/?next={DEEP_ENCODED}")).await.text().contains(SIGN_IN));
}

/// A sibling host can set a cookie of the name for a path of the application alone: there nobody was let in again, and no
/// route of sessiond ever saw it.
#[tokio::test]
async fn a_cookie_for_the_path_of_a_page_is_removed_where_it_locks_its_owner_out() {
    let variables = [
        ("SESSIOND_ORIGIN", "https://app.example.org"),
        ("SESSIOND_COOKIE_DOMAIN", "example.org"),
        ("SESSIOND_BASE_PATH", "/auth"),
        ("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"),
        ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"),
    ];
    let server = TestServer::with(Backend::Embedded, &variables).await;
    let visitor = server.anonymous();
    let removes = |answer: &Response, domain: &str, path: &str| {
        let has = |line: &String, attribute: String| line.split("; ").any(|part| part == attribute);
        answer.set_cookies().iter().any(|line| {
            let place = has(line, format!("Domain={domain}")) && has(line, format!("Path={path}"));
            place && line.starts_with("__Secure-session=;") && has(line, "Max-Age=0".to_owned())
        })
    };
    let places = [("example.org", "/deep"), ("app.example.org", "/deep/page"), ("example.org", "/deep/")];
    let person = [PAGE.as_slice(), &PERSON].concat();
    let twice = [person.as_slice(), &[("Cookie", "__Secure-session=evil; __Secure-session=own")]].concat();
    let sent = get(&visitor, "/auth/auth/forward?redirect", &twice).await;
    for (domain, path) in places {
        assert!(removes(&sent, domain, path), "{domain}{path}: {sent}");
    }
    assert!(!removes(&sent, "example.org", "/"), "ours stays: {sent}");
    // One alone is no reason: it may be ours.
    let once = [person.as_slice(), &[("Cookie", "__Secure-session=own")]].concat();
    assert!(get(&visitor, "/auth/auth/forward?redirect", &once).await.set_cookies().is_empty());
    // A page that nobody is sent back to is still one that its owner is locked out of.
    let odd = ("X-Forwarded-Uri", "//deep/page");
    let odd: Vec<_> = twice.iter().map(|it| if it.0 == odd.0 { odd } else { *it }).collect();
    assert!(!get(&visitor, "/auth/auth/forward?redirect", &odd).await.set_cookies().is_empty());
    // A gateway that passes nothing on of what it was answered sends people here.
    let page = get(&visitor, &format!("/auth/bounce?next={DEEP_ENCODED}"), &PERSON).await;
    for (domain, path) in places {
        assert!(removes(&page, domain, path), "{domain}{path}: {page}");
    }
}

/// What opens no session is counted here as anywhere.
#[tokio::test]
async fn l_28_continue_is_no_way_to_try_cookies_unseen() {
    let server = TestServer::start(Backend::Embedded).await;
    // From the start of a minute, or the count would begin anew in the middle.
    let now = server.node().app().core.clock().now().ms();
    server.clock.advance(Duration::from_millis(u64::try_from(60_000 - now.rem_euclid(60_000)).expect("positive")));
    for guess in 0..105 {
        assert_sent(&browser_with(&server, &format!("made-up-{guess}")).get("/continue").await, 303, "./");
    }
    server.clock.advance(Duration::from_secs(61));
    server.until_audited("authn_token_fail", 1).await;
    let counted = server.stores.database.value("SELECT detail AS value FROM audit WHERE event = 'authn_token_fail'");
    assert!(counted.starts_with("105 "), "{counted}");
}

fn encoded(next: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish()
}
