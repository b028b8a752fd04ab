//! Every default, the error for every invalid value, and that no secret is shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Command, FromArgMatches};

use super::*;

type Change = fn(&mut Settings);

fn key() -> String {
    STANDARD.encode((0..64).collect::<Vec<u8>>())
}

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

fn good(change: impl FnOnce(&mut Settings)) -> Config {
    Config::try_from(settings(change)).unwrap()
}

fn refused(change: impl FnOnce(&mut Settings)) -> String {
    Config::try_from(settings(change)).unwrap_err().to_string()
}

fn set(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn everything_has_a_default() {
    let mut shown = good(|s| s.workers = set("2")).effective();
    shown.retain(|(name, _)| !name.starts_with("SESSIOND_REDIS") && *name != "SESSIOND_STORE_LEASE");
    let shown: Vec<_> =
        shown.iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("-"))).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    SESSIOND_LISTEN=127.0.0.1:8080
    SESSIOND_WORKERS=2
    DATABASE_URL=sqlite://sessiond.db
    REDIS_URL=-
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
    SESSIOND_REGISTRATION=open
    SESSIOND_AUDIT_RETENTION=400d
    SESSIOND_ENDED_SESSION_RETENTION=90d
    SESSIOND_LOG_FORMAT=text
    ");
    assert!(good(|_| ()).workers >= 1);
}

/// The help states `[default: value]`; setting that value must change nothing.
#[test]
fn the_help_tells_the_true_defaults() {
    let command = Settings::augment_args(Command::new("sessiond").no_binary_name(true));
    let command = command.mut_args(|arg| arg.env(None::<&str>));
    let mut compared = 0;
    for arg in command.get_arguments() {
        let help = arg.get_help().unwrap().to_string().replace('\n', " ");
        let Some((_, default)) = help.split_once("[default: ") else {
            continue;
        };
        let default = default.trim_end_matches(']').replace("PORT", "8080");
        if default.contains(' ') {
            continue; // a default in words
        }
        let given = command.clone().get_matches_from([format!("--{}", arg.get_long().unwrap()), default]);
        let given = Settings::from_arg_matches(&given).unwrap();
        assert_eq!(Config::try_from(given), Config::try_from(Settings::default()), "{help}");
        compared += 1;
    }
    assert_eq!(compared, 24);
}

#[test]
fn every_setting_can_be_read_from_pairs() {
    let command = Settings::augment_args(Command::new("sessiond"));
    for arg in command.get_arguments() {
        let variable = arg.get_env().unwrap().to_str().unwrap();
        *Settings::default().field(variable).unwrap() = set("x");
        assert!(
            arg.get_long().unwrap().replace('-', "_").eq_ignore_ascii_case(variable.trim_start_matches("SESSIOND_"))
        );
    }
    let config = Config::from_pairs([("SESSIOND_IDLE_TIMEOUT", "7m"), ("PATH", "/bin")]).unwrap();
    assert_eq!(config.terms.idle, Duration::from_secs(420));
    let slip = Config::from_pairs([("SESSIOND_IDLE_TIMOUT", "7m"), ("SESSIOND_PORT", "tcp://10.0.0.7:80")]).unwrap();
    assert_eq!(slip.terms.idle, Duration::from_secs(1_800), "a slip is told, and refuses nobody");
}

#[test]
fn an_empty_value_is_no_value() {
    let empty = good(|s| {
        s.redis_url = set("");
        s.cookie_domain = set(" ");
        s.origin = set("");
        s.idle_timeout = set("");
    });
    assert_eq!(empty, good(|_| ()));
}

#[test]
fn origins_follow_the_port_and_are_spelled_as_browsers_do() {
    let origins = |config: Config| config.origins.iter().map(Origin::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(origins(good(|s| s.listen = set("[::]:9000"))), "http://localhost:9000 http://127.0.0.1:9000");
    assert_eq!(
        origins(good(|s| s.origin = set("HTTPS://App.Example.com:443, http://[::1]:3000,https://192.0.2.1:8443"))),
        "https://app.example.com http://[::1]:3000 https://192.0.2.1:8443"
    );
    assert_eq!(good(|s| s.base_path = set("/auth/")).public_url(), "http://localhost:8080/auth");
}

#[test]
fn a_proof_has_an_age_and_a_change_of_device_an_answer() {
    for (age, problem) in [("5s", "but must be whole seconds from 30s to 400d."), ("soon", "but must be a duration")] {
        let sentence = refused(|s| s.step_up_age = set(age));
        assert!(sentence.starts_with(&format!("SESSIOND_STEP_UP_AGE is {age:?}, {problem}")), "{sentence}");
    }
    let sentence = refused(|s| s.on_device_change = set("block"));
    assert_eq!(sentence, r#"SESSIOND_ON_DEVICE_CHANGE is "block", but can only be log or step_up or revoke."#);
    let config = good(|s| (s.step_up_age, s.on_device_change) = (set("1h"), set("revoke")));
    assert_eq!((config.step_up_age.as_secs(), config.on_device_change), (3_600, OnDeviceChange::Revoke));
}

#[test]
fn every_bad_value_is_one_sentence() {
    let bad: [(Change, &str); 40] = [
        (|s| s.listen = set("8080"), r#"SESSIOND_LISTEN is "8080", but must be an address with a port, such as"#),
        (|s| s.workers = set("0"), r#"SESSIOND_WORKERS is "0", but must be a number from 1 to 512."#),
        (|s| s.database_url = set("sessiond.db"), "DATABASE_URL is not a URL: write sqlite://sessiond.db or"),
        (|s| s.database_url = set("mysql://h/d"), "DATABASE_URL can only start with sqlite:// or"),
        (|s| s.database_url = set("sqlite://"), "DATABASE_URL must name a plain file: write"),
        (|s| s.database_url = set("sqlite://:memory:"), "DATABASE_URL names a database in memory"),
        (|s| s.database_url = set("sqlite://a.db?mode=ro"), "DATABASE_URL must name a plain file"),
        (|s| s.redis_url = set("localhost:6379"), "REDIS_URL is not a URL: write redis://HOST:PORT"),
        (|s| s.redis_url = set("http://a"), "REDIS_URL can only start with redis://, rediss"),
        (|s| s.redis_url = set("redis://a,b"), "REDIS_URL names several servers in one address: write the nodes"),
        (|s| s.redis_url = set("redis://a,rediss://b"), "REDIS_URL mixes redis:// and rediss://: write all nodes"),
        (|s| s.redis_url = set("redis://a/1,redis://b/1"), "REDIS_URL has a database number, but a Redis Cluster has"),
        (|s| s.redis_url = set("redis://a,redis://"), "REDIS_URL has no valid host and port"),
        (|s| s.redis_url = set("redis+sentinel://a"), "REDIS_URL does not name the master that the Sentinels watch"),
        (|s| s.redis_url = set("redis+sentinel://a,a?service=m"), "REDIS_URL names one Sentinel twice"),
        (|s| s.redis_url = set("redis+sentinel://a,:1?service=m"), "REDIS_URL has no valid host and port"),
        (|s| s.redis_url = set("redis+sentinel://a?service=m&x=1"), "REDIS_URL has an unknown option"),
        (|s| s.redis_url = set("rediss://a/#insecure"), "REDIS_URL has a part after #"),
        (|s| s.redis_url = set("redis://u:p/x@h"), "REDIS_URL has no valid host and port: percent-encode"),
        (|s| s.redis_url = set("redis://h/one"), "REDIS_URL has a path that is not a database number"),
        (|s| s.redis_prefix = set("{a}"), r#"SESSIOND_REDIS_PREFIX is "{a}", but can only have"#),
        (
            |s| s.store_lease = set("500ms"),
            r#"SESSIOND_STORE_LEASE is "500ms", but must be whole seconds from 2s to 30s."#,
        ),
        (|s| s.base_path = set("auth"), r#"SESSIOND_BASE_PATH is "auth", which is not a plain path: write it like"#),
        (|s| s.base_path = set("/a/b/c/d/e"), r#"SESSIOND_BASE_PATH is "/a/b/c/d/e", which is too deep"#),
        (|s| s.base_path = set("/a/../b"), r#"SESSIOND_BASE_PATH is "/a/../b", which is not a plain path"#),
        (|s| s.cookie_domain = set("com"), r#"SESSIOND_COOKIE_DOMAIN is "com", which is not a domain: write"#),
        (
            |s| s.origin = set("https://a.example/"),
            r#"SESSIOND_ORIGIN is "https://a.example/", which is not an origin"#,
        ),
        (|s| s.origin = set("*"), r#"SESSIOND_ORIGIN is "*", which is not an origin: write https://app.example.com"#),
        (
            |s| s.origin = set("http://a.example"),
            r#"SESSIOND_ORIGIN is "http://a.example", but browsers keep the Secure"#,
        ),
        (|s| s.origin = set(","), "SESSIOND_ORIGIN names no origin"),
        (
            |s| s.trusted_proxies = set("proxy"),
            r#"SESSIOND_TRUSTED_PROXIES is "proxy", but must be an address or network"#,
        ),
        (|s| s.trusted_proxies = set("::ffff:0:0/96"), r#"SESSIOND_TRUSTED_PROXIES is "::ffff:0:0/96", which trusts"#),
        (
            |s| s.sign_in_address_limit = set("0"),
            r#"SESSIOND_SIGN_IN_ADDRESS_LIMIT is "0", but must be a number from 1"#,
        ),
        (|s| s.trusted_proxies = set("::/0"), r#"SESSIOND_TRUSTED_PROXIES is "::/0", which trusts every client"#),
        (|s| s.idle_timeout = set("30"), r#"SESSIOND_IDLE_TIMEOUT is "30", but must be a duration, such as"#),
        (
            |s| s.absolute_timeout = set("401d"),
            r#"SESSIOND_ABSOLUTE_TIMEOUT is "401d", but must be whole seconds from 1s to 400d."#,
        ),
        (|s| s.idle_timeout = set("1500ms"), r#"SESSIOND_IDLE_TIMEOUT is "1500ms", but must be whole seconds"#),
        (|s| s.max_sessions = set("0"), r#"SESSIOND_MAX_SESSIONS is "0", but must be a number from 1 to 10000."#),
        (|s| s.registration = set("off"), r#"SESSIOND_REGISTRATION is "off", but can only be open or closed."#),
        (|s| s.log_format = set("xml"), r#"SESSIOND_LOG_FORMAT is "xml", but can only be text or json."#),
    ];
    for (change, sentence) in bad {
        let refused = refused(change);
        assert!(refused.starts_with(sentence) && refused.ends_with('.') && !refused.contains('\n'), "{refused}");
    }
}

#[test]
fn a_node_has_at_least_one_stream() {
    assert_eq!(
        refused(|s| s.max_event_streams = set("0")),
        r#"SESSIOND_MAX_EVENT_STREAMS is "0", but must be a number from 1 to 1000000."#
    );
}

#[test]
fn contradictions_are_one_sentence() {
    assert_eq!(
        refused(|s| s.idle_timeout = set("13h")),
        "SESSIOND_ABSOLUTE_TIMEOUT is 12h, which is less than SESSIOND_IDLE_TIMEOUT (13h): raise the first or lower \
         the second."
    );
    assert_eq!(
        refused(|s| s.absolute_timeout = set("60d")),
        "SESSIOND_REMEMBER_ABSOLUTE_TIMEOUT is 30d, which is less than SESSIOND_ABSOLUTE_TIMEOUT (60d): raise the \
         first or lower the second."
    );
    assert!(
        refused(|s| s.client_ip_header = set("X-Real-IP"))
            .starts_with("SESSIOND_CLIENT_IP_HEADER is set without SESSIOND_TRUSTED_PROXIES, so any client")
    );
    assert!(
        refused(|s| s.trusted_proxies = set("10.0.0.0/8"))
            .starts_with("SESSIOND_TRUSTED_PROXIES is set without SESSIOND_CLIENT_IP_HEADER: name the header")
    );
    assert!(
        refused(|s| s.cookie_domain = set("example.com"))
            .starts_with("SESSIOND_COOKIE_DOMAIN is example.com, but http://localhost:8080 is not in it")
    );
    assert_eq!(
        refused(|s| (s.cookie_key, s.cookie_key_file) = (set("a"), set("b"))),
        "SESSIOND_COOKIE_KEY and SESSIOND_COOKIE_KEY_FILE are both set: unset one of them."
    );
    assert!(
        refused(|s| s.cookie_key_file = set("/none")).starts_with("SESSIOND_COOKIE_KEY_FILE names a file that cannot")
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
        let sentence = refused(|s| s.cookie_domain = set(suffix));
        let beginning = format!("SESSIOND_COOKIE_DOMAIN is {suffix:?}, which is a public suffix:");
        assert!(sentence.starts_with(&beginning) && !sentence.contains('\n'), "{sentence}");
    }
    for own in
        ["example.co.uk", "me.github.io", "example.xn--55qx5d.cn", "www.ck", "corp.internal", "example.localhost"]
    {
        let origin = format!("https://app.{own}");
        let config = good(|s| (s.cookie_domain, s.origin) = (set(own), set(&origin)));
        assert_eq!(config.cookie_domain.as_deref(), Some(own));
    }
}

#[test]
fn several_servers_need_a_key_that_was_given_to_all() {
    let sentence = refused(|s| s.redis_url = set("redis://localhost"));
    assert!(sentence.starts_with("SESSIOND_COOKIE_KEY is needed with Redis or PostgreSQL"), "{sentence}");
    assert!(sentence.contains(r"`openssl rand -base64 64 | tr -d '\n'`"), "{sentence}");
    let config = good(|s| (s.redis_url, s.cookie_key) = (set("redis://localhost/1"), Some(key())));
    assert!(matches!(config.cookie_key, CookieKeySource::Given(_)));
    assert!(refused(|s| s.cookie_key = set("c2hvcnQ=")).starts_with("SESSIOND_COOKIE_KEY has fewer than 64 bytes"));
}

#[test]
fn proxies_and_a_shared_cookie_are_read() {
    let config = good(|s| {
        s.trusted_proxies = set("10.1.2.3/8, 192.0.2.7,fd00::/8");
        s.client_ip_header = set("X-Forwarded-For");
        s.origin = set("https://app.example.com,https://example.com");
        s.cookie_domain = set(".Example.com");
    });
    assert_eq!(list(&config.trusted_proxies).unwrap(), "10.0.0.0/8,192.0.2.7/32,fd00::/8");
    assert_eq!(config.client_ip_header.as_deref(), Some("x-forwarded-for"));
    let mapped = good(|s| {
        s.trusted_proxies = set("::ffff:10.1.2.3/104,::ffff:192.0.2.7");
        s.client_ip_header = set("X-Forwarded-For");
    });
    assert_eq!(list(&mapped.trusted_proxies).unwrap(), "10.0.0.0/8,192.0.2.7/32", "I-06");
    assert_eq!(config.cookie_domain.as_deref(), Some("example.com"));
    assert!(
        refused(|s| (s.origin, s.cookie_domain) = (set("https://badexample.com"), set("example.com")))
            .contains("is not in it")
    );
}

#[test]
fn nothing_shows_a_secret() {
    let config = good(|s| {
        s.redis_url = set("rediss://app:hunter2@redis.example.com:6380/0");
        s.cookie_key = Some(key());
    });
    let shown = format!("{config:?} {:?}", config.effective());
    assert!(shown.contains("rediss://app:***@redis.example.com:6380/0"), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains(&key()), "{shown}");
}

/// The error for a malformed address quotes no part of it: the end of the password is unknown.
#[test]
fn an_address_that_cannot_be_read_is_told_without_a_word_of_it() {
    assert!(
        refused(|s| s.database_url = set("sqlite://sd:pw@h/a.db")).starts_with("DATABASE_URL must name a plain file")
    );
    assert!(refused(|s| s.redis_url = set("redis://h?timeout=1")).starts_with("REDIS_URL has an unknown option"));
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
    let database = databases.map(|url| (url, refused(|s| s.database_url = set(url))));
    let redis = redis.map(|url| (url, refused(|s| (s.redis_url, s.cookie_key) = (set(url), Some(key())))));
    for (url, sentence) in database.iter().chain(&redis) {
        assert!(!sentence.contains("hunter2") && sentence.ends_with('.'), "{url}: {sentence}");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_build_without_postgresql_says_how_to_get_it() {
    let sentence = refused(|s| s.database_url = set("postgres://app:hunter2@localhost/app"));
    assert!(sentence.contains("`cargo build --release --features postgres`"), "{sentence}");
    assert!(!sentence.contains("hunter2"), "{sentence}");
}

#[cfg(feature = "postgres")]
#[test]
fn a_postgresql_address_is_kept_whole_and_shown_masked() {
    let url = "postgresql://app:hunter2@a:5432,b:5432/app?sslmode=verify-full";
    let config = good(|s| (s.database_url, s.cookie_key) = (set(url), Some(key())));
    assert_eq!(config.database.to_string(), "postgres://app:***@a:5432,b:5432/app?sslmode=verify-full");
    let Database::Postgres { url: kept } = config.database else { panic!("PostgreSQL") };
    assert!(kept.connection_strings().iter().all(|one| one.contains("password='hunter2'")));
    assert!(refused(|s| s.database_url = set(url)).starts_with("SESSIOND_COOKIE_KEY is needed"));
}
