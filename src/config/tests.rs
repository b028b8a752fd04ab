//! Every default, the error for every invalid value, and that no secret is shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Command, FromArgMatches};

use super::settings::DECLARED;
use super::*;

fn key() -> String {
    STANDARD.encode((0..64).collect::<Vec<u8>>())
}

fn good<const N: usize>(given: [(&str, &str); N]) -> Config {
    Config::try_from(Settings::from_iter(given)).unwrap()
}

fn refused<const N: usize>(given: [(&str, &str); N]) -> String {
    Config::try_from(Settings::from_iter(given)).unwrap_err().to_string()
}

#[test]
fn everything_has_a_default() {
    let mut shown = good([(var::WORKERS, "2")]).effective();
    shown.retain(|(name, _)| !name.starts_with("SESSIOND_REDIS") && *name != "SESSIOND_STORE_LEASE");
    let shown: Vec<_> =
        shown.iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("-"))).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    SESSIOND_LISTEN=127.0.0.1:8080
    SESSIOND_WORKERS=2
    DATABASE_URL=sqlite://sessiond.db
    REDIS_URL=-
    SESSIOND_NEAR_CACHE=0
    SESSIOND_BASE_PATH=-
    SESSIOND_COOKIE_DOMAIN=-
    SESSIOND_COOKIE_KEY=(in sessiond.db.cookie-key)
    SESSIOND_ORIGIN=http://localhost:8080,http://127.0.0.1:8080
    SESSIOND_TRUSTED_PROXIES=-
    SESSIOND_CLIENT_IP_HEADER=-
    SESSIOND_CSRF_METHOD_HEADER=-
    SESSIOND_CLEAR_SITE_DATA=cache,storage
    SESSIOND_HSTS=host
    SESSIOND_IDLE_TIMEOUT=30m
    SESSIOND_ABSOLUTE_TIMEOUT=12h
    SESSIOND_REMEMBER_IDLE_TIMEOUT=14d
    SESSIOND_REMEMBER_ABSOLUTE_TIMEOUT=30d
    SESSIOND_ACTING_TIMEOUT=1h
    SESSIOND_LAST_SEEN_RESOLUTION=10s
    SESSIOND_MAX_SESSIONS=100
    SESSIOND_MAX_SESSIONS_POLICY=evict_oldest
    SESSIOND_MAX_EVENT_STREAMS=20000
    SESSIOND_SIGN_IN_ADDRESS_LIMIT=100
    SESSIOND_STEP_UP_AGE=15m
    SESSIOND_ON_DEVICE_CHANGE=log
    SESSIOND_GEOIP_DB=-
    SESSIOND_RISK_WEIGHTS=new_country=30,new_network=10,impossible_speed=60,several_countries=60,failures_before_success=50,new_device=10
    SESSIOND_RISK_THRESHOLD=60
    SESSIOND_RISK_ACTION=alert
    SESSIOND_PASSWORD_MIN_LENGTH=8
    SESSIOND_WEBHOOK_URL=-
    SESSIOND_WEBHOOK_SECRET=-
    SESSIOND_JWT_ISSUER=-
    SESSIOND_JWT_AUDIENCE=-
    SESSIOND_JWT_LIFETIME=-
    SESSIOND_JWT_HEADER=-
    SESSIOND_EXCHANGE_ISSUER=-
    SESSIOND_EXCHANGE_AUDIENCE=-
    SESSIOND_EXCHANGE_SUBJECT_CLAIM=-
    SESSIOND_EXCHANGE_COOKIE=-
    SESSIOND_EXCHANGE_UNTIL=-
    SESSIOND_REGISTRATION=open
    SESSIOND_AUDIT_RETENTION=400d
    SESSIOND_ENDED_SESSION_RETENTION=90d
    SESSIOND_LOG_FORMAT=text
    ");
    assert!(good([]).workers >= 1);
}

#[test]
fn every_setting_is_printed_with_its_effective_value() {
    let printed: Vec<_> = good([]).effective().into_iter().map(|(variable, _)| variable).collect();
    // Of a secret, what is printed says where it comes from.
    let declared = DECLARED.iter().map(|setting| setting.variable).filter(|variable| !variable.ends_with("_FILE"));
    assert_eq!(printed, declared.collect::<Vec<_>>());
}

#[test]
fn a_default_that_is_written_out_is_the_default() {
    for setting in DECLARED {
        assert!(setting.default.is_none_or(|default| !default.is_empty()), "{}", setting.variable);
        let Some(default) = setting.default else { continue };
        assert_eq!(good([(setting.variable, default)]), good([]), "{}", setting.variable);
    }
}

#[test]
fn every_setting_is_a_flag_and_a_variable() {
    let command = Settings::augment_args(Command::new("sessiond").no_binary_name(true));
    command.clone().debug_assert();
    for setting in DECLARED {
        let flag = setting.variable.trim_start_matches("SESSIOND_").replace('_', "-").to_lowercase();
        let given = command.clone().get_matches_from([format!("--{flag}"), "x".to_owned()]);
        let given = Settings::from_arg_matches(&given).unwrap();
        assert_eq!(given.given(setting.variable).text(), Some("x"), "{}", setting.variable);
    }
    let config = Config::from_pairs([("SESSIOND_IDLE_TIMEOUT", "7m"), ("PATH", "/bin")]).unwrap();
    assert_eq!(config.terms.idle, Duration::from_secs(420));
    let slip = Config::from_pairs([("SESSIOND_IDLE_TIMOUT", "7m"), ("SESSIOND_PORT", "tcp://10.0.0.7:80")]).unwrap();
    assert_eq!(slip.terms.idle, Duration::from_secs(1_800), "a slip is told, and refuses nobody");
}

#[test]
fn an_empty_value_is_no_value() {
    let empty = good([(var::REDIS_URL, ""), (var::COOKIE_DOMAIN, " "), (var::ORIGIN, ""), (var::IDLE_TIMEOUT, "")]);
    assert_eq!(empty, good([]));
}

#[test]
fn origins_follow_the_port_and_are_spelled_as_browsers_do() {
    let origins = |config: Config| config.origins.iter().map(Origin::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(origins(good([(var::LISTEN, "[::]:9000")])), "http://localhost:9000 http://127.0.0.1:9000");
    assert_eq!(
        origins(good([(var::ORIGIN, "HTTPS://App.Example.com:443, http://[::1]:3000,https://192.0.2.1:8443")])),
        "https://app.example.com http://[::1]:3000 https://192.0.2.1:8443"
    );
    assert_eq!(good([(var::BASE_PATH, "/auth/")]).public_url(), "http://localhost:8080/auth");
}

#[test]
fn a_proof_has_an_age_and_a_change_of_device_an_answer() {
    for (age, problem) in [("5s", "but must be whole seconds from 30s to 400d."), ("soon", "but must be a duration")] {
        let sentence = refused([(var::STEP_UP_AGE, age)]);
        assert!(sentence.starts_with(&format!("SESSIOND_STEP_UP_AGE is {age:?}, {problem}")), "{sentence}");
    }
    let sentence = refused([(var::ON_DEVICE_CHANGE, "block")]);
    assert_eq!(sentence, r#"SESSIOND_ON_DEVICE_CHANGE is "block", but can only be log, step_up or revoke."#);
    let config = good([(var::STEP_UP_AGE, "1h"), (var::ON_DEVICE_CHANGE, "revoke")]);
    assert_eq!((config.step_up_age.as_secs(), config.on_device_change), (3_600, OnDeviceChange::Revoke));
}

#[test]
fn every_bad_value_is_one_sentence() {
    let bad: [((&str, &str), &str); 40] = [
        ((var::LISTEN, "8080"), r#"SESSIOND_LISTEN is "8080", but must be an address with a port, such as"#),
        ((var::WORKERS, "0"), r#"SESSIOND_WORKERS is "0", but must be a number from 1 to 512."#),
        ((var::DATABASE_URL, "sessiond.db"), "DATABASE_URL is not a URL: write sqlite://sessiond.db or"),
        ((var::DATABASE_URL, "mysql://h/d"), "DATABASE_URL can only start with sqlite:// or"),
        ((var::DATABASE_URL, "sqlite://"), "DATABASE_URL must name a plain file: write"),
        ((var::DATABASE_URL, "sqlite://:memory:"), "DATABASE_URL names a database in memory"),
        ((var::DATABASE_URL, "sqlite://a.db?mode=ro"), "DATABASE_URL must name a plain file"),
        ((var::REDIS_URL, "localhost:6379"), "REDIS_URL is not a URL: write redis://HOST:PORT"),
        ((var::REDIS_URL, "http://a"), "REDIS_URL can only start with redis://, rediss"),
        ((var::REDIS_URL, "redis://a,b"), "REDIS_URL names several servers in one address: write the nodes"),
        ((var::REDIS_URL, "redis://a,rediss://b"), "REDIS_URL mixes redis:// and rediss://: write all nodes"),
        ((var::REDIS_URL, "redis://a/1,redis://b/1"), "REDIS_URL has a database number, but a Redis Cluster has"),
        ((var::REDIS_URL, "redis://a,redis://"), "REDIS_URL has no valid host and port"),
        ((var::REDIS_URL, "redis+sentinel://a"), "REDIS_URL does not name the master that the Sentinels watch"),
        ((var::REDIS_URL, "redis+sentinel://a,a?service=m"), "REDIS_URL names one Sentinel twice"),
        ((var::REDIS_URL, "redis+sentinel://a,:1?service=m"), "REDIS_URL has no valid host and port"),
        ((var::REDIS_URL, "redis+sentinel://a?service=m&x=1"), "REDIS_URL has an unknown option"),
        ((var::REDIS_URL, "rediss://a/#insecure"), "REDIS_URL has a part after #"),
        ((var::REDIS_URL, "redis://u:p/x@h"), "REDIS_URL has no valid host and port: percent-encode"),
        ((var::REDIS_URL, "redis://h/one"), "REDIS_URL has a path that is not a database number"),
        ((var::REDIS_PREFIX, "{a}"), r#"SESSIOND_REDIS_PREFIX is "{a}", but can only have"#),
        ((var::STORE_LEASE, "500ms"), r#"SESSIOND_STORE_LEASE is "500ms", but must be whole seconds from 2s to 30s."#),
        ((var::BASE_PATH, "auth"), r#"SESSIOND_BASE_PATH is "auth", which is not a plain path: write it like"#),
        ((var::BASE_PATH, "/a/b/c/d/e"), r#"SESSIOND_BASE_PATH is "/a/b/c/d/e", which is too deep"#),
        ((var::BASE_PATH, "/a/../b"), r#"SESSIOND_BASE_PATH is "/a/../b", which is not a plain path"#),
        ((var::COOKIE_DOMAIN, "com"), r#"SESSIOND_COOKIE_DOMAIN is "com", which is not a domain: write"#),
        ((var::ORIGIN, "https://a.example/"), r#"SESSIOND_ORIGIN is "https://a.example/", which is not an origin"#),
        ((var::ORIGIN, "*"), r#"SESSIOND_ORIGIN is "*", which is not an origin: write https://app.example.com"#),
        ((var::ORIGIN, "http://a.example"), r#"SESSIOND_ORIGIN is "http://a.example", but browsers keep the Secure"#),
        ((var::ORIGIN, ","), "SESSIOND_ORIGIN names no origin"),
        ((var::TRUSTED_PROXIES, "proxy"), r#"SESSIOND_TRUSTED_PROXIES is "proxy", but must be an address or network"#),
        ((var::TRUSTED_PROXIES, "::ffff:0:0/96"), r#"SESSIOND_TRUSTED_PROXIES is "::ffff:0:0/96", which trusts"#),
        ((var::SIGN_IN_ADDRESS_LIMIT, "0"), r#"SESSIOND_SIGN_IN_ADDRESS_LIMIT is "0", but must be a number from 1"#),
        ((var::TRUSTED_PROXIES, "::/0"), r#"SESSIOND_TRUSTED_PROXIES is "::/0", which trusts every client"#),
        ((var::IDLE_TIMEOUT, "30"), r#"SESSIOND_IDLE_TIMEOUT is "30", but must be a duration, such as"#),
        (
            (var::ABSOLUTE_TIMEOUT, "401d"),
            r#"SESSIOND_ABSOLUTE_TIMEOUT is "401d", but must be whole seconds from 1s to 400d."#,
        ),
        ((var::IDLE_TIMEOUT, "1500ms"), r#"SESSIOND_IDLE_TIMEOUT is "1500ms", but must be whole seconds"#),
        ((var::MAX_SESSIONS, "0"), r#"SESSIOND_MAX_SESSIONS is "0", but must be a number from 1 to 10000."#),
        ((var::REGISTRATION, "off"), r#"SESSIOND_REGISTRATION is "off", but can only be open or closed."#),
        ((var::LOG_FORMAT, "xml"), r#"SESSIOND_LOG_FORMAT is "xml", but can only be text or json."#),
    ];
    for (given, sentence) in bad {
        let refused = refused([given]);
        assert!(refused.starts_with(sentence) && refused.ends_with('.') && !refused.contains('\n'), "{refused}");
    }
}

#[test]
fn a_node_has_at_least_one_stream() {
    assert_eq!(
        refused([(var::MAX_EVENT_STREAMS, "0")]),
        r#"SESSIOND_MAX_EVENT_STREAMS is "0", but must be a number from 1 to 1000000."#
    );
}

#[test]
fn contradictions_are_one_sentence() {
    assert_eq!(
        refused([(var::IDLE_TIMEOUT, "13h")]),
        "SESSIOND_ABSOLUTE_TIMEOUT is 12h, which is less than SESSIOND_IDLE_TIMEOUT (13h): raise the first or lower \
         the second."
    );
    assert_eq!(
        refused([(var::ABSOLUTE_TIMEOUT, "60d")]),
        "SESSIOND_REMEMBER_ABSOLUTE_TIMEOUT is 30d, which is less than SESSIOND_ABSOLUTE_TIMEOUT (60d): raise the \
         first or lower the second."
    );
    assert_eq!(
        refused([(var::ACTING_TIMEOUT, "13h")]),
        "SESSIOND_ABSOLUTE_TIMEOUT is 12h, which is less than SESSIOND_ACTING_TIMEOUT (13h): raise the first or lower the \
         second."
    );
    let brief = good([(var::IDLE_TIMEOUT, "10m"), (var::ABSOLUTE_TIMEOUT, "20m")]).acting_terms;
    assert_eq!((brief.idle.as_secs(), brief.absolute.as_secs()), (600, 1_200), "never longer than the user's own");
    assert!(
        refused([(var::CLIENT_IP_HEADER, "X-Real-IP")])
            .starts_with("SESSIOND_CLIENT_IP_HEADER is set without SESSIOND_TRUSTED_PROXIES, so any client")
    );
    assert!(
        refused([(var::TRUSTED_PROXIES, "10.0.0.0/8")])
            .starts_with("SESSIOND_TRUSTED_PROXIES is set without SESSIOND_CLIENT_IP_HEADER: name the header")
    );
    assert!(
        refused([(var::COOKIE_DOMAIN, "example.com")])
            .starts_with("SESSIOND_COOKIE_DOMAIN is example.com, but http://localhost:8080 is not in it")
    );
    assert_eq!(
        refused([(var::COOKIE_KEY, "a"), (var::COOKIE_KEY_FILE, "b")]),
        "SESSIOND_COOKIE_KEY and SESSIOND_COOKIE_KEY_FILE are both set: unset one of them."
    );
    assert!(
        refused([(var::COOKIE_KEY_FILE, "/none")]).starts_with("SESSIOND_COOKIE_KEY_FILE names a file that cannot")
    );
}

#[test]
fn a_public_suffix_is_nobodys_cookie_domain() {
    for suffix in [
        "co.uk",
        "github.io",
        ".CO.UK",
        "pvt.k12.ma.us",
        "cn-north-1.compute.amazonaws.com.cn",
        "xn--55qx5d.cn",
        "x.ck",
    ] {
        let sentence = refused([(var::COOKIE_DOMAIN, suffix)]);
        let beginning = format!("SESSIOND_COOKIE_DOMAIN is {suffix:?}, which is a public suffix:");
        assert!(sentence.starts_with(&beginning) && !sentence.contains('\n'), "{sentence}");
    }
    for own in
        ["example.co.uk", "me.github.io", "example.xn--55qx5d.cn", "www.ck", "corp.internal", "example.localhost"]
    {
        let origin = format!("https://app.{own}");
        let config = good([(var::COOKIE_DOMAIN, own), (var::ORIGIN, &origin)]);
        assert_eq!(config.cookie_domain.as_deref(), Some(own));
    }
}

#[test]
fn several_servers_need_a_key_that_was_given_to_all() {
    let sentence = refused([(var::REDIS_URL, "redis://localhost")]);
    assert!(sentence.starts_with("SESSIOND_COOKIE_KEY is needed with Redis or PostgreSQL"), "{sentence}");
    assert!(sentence.contains(r"`openssl rand -base64 64 | tr -d '\n'`"), "{sentence}");
    let config = good([(var::REDIS_URL, "redis://localhost/1"), (var::COOKIE_KEY, &key())]);
    assert!(matches!(config.cookie_key, CookieKeySource::Given(_)));
    assert!(refused([(var::COOKIE_KEY, "c2hvcnQ=")]).starts_with("SESSIOND_COOKIE_KEY has fewer than 64 bytes"));
}

#[test]
fn proxies_and_a_shared_cookie_are_read() {
    let config = good([
        (var::TRUSTED_PROXIES, "10.1.2.3/8, 192.0.2.7,fd00::/8"),
        (var::CLIENT_IP_HEADER, "X-Forwarded-For"),
        (var::ORIGIN, "https://app.example.com,https://example.com"),
        (var::COOKIE_DOMAIN, ".Example.com"),
    ]);
    assert_eq!(list(&config.trusted_proxies).unwrap(), "10.0.0.0/8,192.0.2.7/32,fd00::/8");
    assert_eq!(config.client_ip_header.as_deref(), Some("x-forwarded-for"));
    let mapped = good([
        (var::TRUSTED_PROXIES, "::ffff:10.1.2.3/104,::ffff:192.0.2.7"),
        (var::CLIENT_IP_HEADER, "X-Forwarded-For"),
    ]);
    assert_eq!(list(&mapped.trusted_proxies).unwrap(), "10.0.0.0/8,192.0.2.7/32", "I-06");
    assert_eq!(config.cookie_domain.as_deref(), Some("example.com"));
    assert!(
        refused([(var::ORIGIN, "https://badexample.com"), (var::COOKIE_DOMAIN, "example.com")])
            .contains("is not in it")
    );
}

#[test]
fn nothing_shows_a_secret() {
    let config = good([(var::REDIS_URL, "rediss://app:hunter2@redis.example.com:6380/0"), (var::COOKIE_KEY, &key())]);
    let shown = format!("{config:?} {:?}", config.effective());
    assert!(shown.contains("rediss://app:***@redis.example.com:6380/0"), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains(&key()), "{shown}");
}

/// The error for a malformed address quotes no part of it: the end of the password is unknown.
#[test]
fn an_address_that_cannot_be_read_is_told_without_a_word_of_it() {
    assert!(refused([(var::DATABASE_URL, "sqlite://sd:pw@h/a.db")]).starts_with("DATABASE_URL must name a plain file"));
    assert!(refused([(var::REDIS_URL, "redis://h?timeout=1")]).starts_with("REDIS_URL has an unknown option"));
    let databases = [
        "app:hunter2@db/x",
        "postgres://app:hunter2%@db/x",
        "postgres://app:hunter2/x@db:5432/x",
        "hunter2://x:hunter2@y",
        "sqlite://app:hunter2@db/x",
        "sqlite://x.db?key=hunter2",
        "host=db password=hunter2",
    ];
    let redis = [
        "hunter2@h",
        "hunter2://h",
        "redis://:100%hunter2@h",
        "redis://:hunter2%ff@h",
        "redis://:hun@hunter2@h",
        "redis://u:12/hunter2@h",
        "redis://u:12?hunter2@h",
        "redis://u:12#hunter2@h",
        "redis://u:p hunter2@h",
        "redis://u:p@h?hunter2",
        "redis://u:p@hunter2^x",
        "redis://u:hunter2@a,redis://b/7,x",
        "rediss://u:p@a,rediss://u:hunter2%@b",
        "redis+sentinel://:hunter2%@a?service=m",
        "redis+sentinel://:p@a?service=m&sentinel_password=hunter2%",
        "redis+sentinel://:p@a?hunter2=m",
    ];
    let database = databases.map(|url| (url, refused([(var::DATABASE_URL, url)])));
    let redis = redis.map(|url| (url, refused([(var::REDIS_URL, url), (var::COOKIE_KEY, &key())])));
    for (url, sentence) in database.iter().chain(&redis) {
        assert!(!sentence.contains("hunter2") && sentence.ends_with('.'), "{url}: {sentence}");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_build_without_postgresql_says_how_to_get_it() {
    let sentence = refused([(var::DATABASE_URL, "postgres://app:hunter2@localhost/app")]);
    assert!(sentence.contains("`cargo build --release --features postgres`"), "{sentence}");
    assert!(!sentence.contains("hunter2"), "{sentence}");
}

#[cfg(feature = "postgres")]
#[test]
fn a_postgresql_address_is_kept_whole_and_shown_masked() {
    let url = "postgresql://app:hunter2@a:5432,b:5432/app?sslmode=verify-full";
    let config = good([(var::DATABASE_URL, url), (var::COOKIE_KEY, &key())]);
    assert_eq!(config.database.to_string(), "postgres://app:***@a:5432,b:5432/app?sslmode=verify-full");
    let Database::Postgres { url: kept } = config.database else { panic!("PostgreSQL") };
    assert!(kept.connection_strings().iter().all(|one| one.contains("password='hunter2'")));
    assert!(refused([(var::DATABASE_URL, url)]).starts_with("SESSIOND_COOKIE_KEY is needed"));
}
