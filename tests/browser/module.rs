//! `static/sessiond.js`, as an application imports it.

use serde_json::{Value, json};

use super::driver::Driver;
use super::endings::soak;
use super::page::site;
use super::window::Window;
use crate::support::client::{PASSWORD, new_email};
use crate::support::hash_cost;
use crate::support::server::{Backend, TestServer};

/// A wait that the page would not survive in a test is over thirty times as fast.
const HASTE: &str = "
    const patient = window.setTimeout;
    window.setTimeout = (callback, delay, ...more) => patient(callback, delay >= 40_000 ? delay / 30 : delay, ...more);";

const WITHOUT_LOCKS: &str = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });";

const COUNT_STREAMS: &str = "
    window.streams = [];
    window.EventSource = class extends EventSource { constructor(...address) { super(...address); streams.push(this); } };";

const ONE_IS_OPEN: &str = "streams.filter(({ readyState }) => readyState === EventSource.OPEN).length === 1";

/// Runs this with the module as `sessiond`, on a page that does not use it by itself.
async fn with_module(window: &Window, body: &str) -> Value {
    window.script(&format!("return import('/static/sessiond.js').then(async (sessiond) => {{ {body} }})")).await
}

#[tokio::test]
async fn errors_say_what_a_program_needs_and_nobody_is_told_of_an_end_that_is_none() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, owner) = (Driver::start(), server.signed_in().await);
    let window = driver.window().await;
    window.open(&format!("{}/reset", site(&server))).await;
    let said = with_module(
        &window,
        &format!(
            "const ended = [];
             window.ended = ended;
             sessiond.onEnded(({{ reason }}) => ended.push(reason));
             const nobody = await sessiond.me().catch((error) => error);
             const wrong = await sessiond.login({}).catch((error) => error);
             return [nobody instanceof sessiond.SessiondError, nobody.status, nobody.slug, wrong.status, wrong.slug, ended]",
            json!({ "email": owner.email, "password": "not the password" })
        ),
    )
    .await;
    assert_eq!(said, json!([true, 401, "unauthenticated", 401, "wrong-credentials", []]));

    // Known, then over: told once, whoever finds it out.
    let said = with_module(
        &window,
        &format!(
            "await sessiond.login({});
             const asked = [];
             const trusted = window.fetch;
             window.fetch = (address, options) => {{
               const background = options.headers['X-No-Touch'] ?? null;
               // A stream that was opened too late to be answered is followed by a look of the module's own.
               if (background === null || !String(address).endsWith('/session')) asked.push(background);
               return trusted(address, options);
             }};
             await sessiond.me();
             await sessiond.sessions({{ background: true }});
             const gone = await sessiond.revoke('00000000-0000-7000-8000-000000000000').catch((error) => error);
             await sessiond.logout();
             const after = await sessiond.me().catch((error) => error);
             return [asked, gone.status, after.status, window.ended]",
            json!({ "email": owner.email, "password": PASSWORD })
        ),
    )
    .await;
    assert_eq!(said, json!([[null, "1", null, null, null], 404, 401, ["signed_out"]]));
    window.assert_quiet_but_for(&["401 /login", "404 /sessions/00000000-0000-7000-8000-000000000000"]).await;
}

#[tokio::test]
async fn a_cookie_that_is_just_being_renewed_is_no_end() {
    // The questions are asked while the proof is being hashed.
    hash_cost::full();
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, owner) = (Driver::start(), server.signed_in().await);
    let window = driver.window().await;
    window.open(&format!("{}/reset", site(&server))).await;
    let said = with_module(
        &window,
        &format!(
            "const ended = [];
             sessiond.onEnded(({{ reason }}) => ended.push(reason));
             const {{ email, password }} = {};
             await sessiond.login({{ email, password }});
             const pause = (time) => new Promise((resume) => setTimeout(resume, time));
             for (let round = 0; round < 3; round += 1) {{
               // These are answered while the token changes: some arrive with the old one.
               const proof = sessiond.reauthenticate(password);
               const questions = [];
               for (let n = 0; n < 60; n += 1) {{ questions.push(n % 2 === 0 ? sessiond.sessions({{ background: true }}) : sessiond.me({{ background: true }})); await pause(4); }}
               await Promise.all([proof, ...questions]);
             }}
             return ended",
            json!({ "email": owner.email, "password": PASSWORD })
        ),
    )
    .await;
    assert_eq!(said, json!([]));
    let refused = window.complaints().await;
    println!("refused with the old token, and asked again: {}", refused.len());
    assert!(refused.iter().all(|line| line == "401 /sessions"), "{refused:?}");
}

/// Whatever needs a session acts on the one in the cookie, and that is somebody else's by then.
#[tokio::test]
async fn a_tab_whose_session_has_ended_does_not_act_on_the_one_that_took_its_place() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, owner, other) = (Driver::start(), server.signed_in().await, server.signed_in().await);
    let window = driver.window().await;
    window.open(&format!("{}/reset", site(&server))).await;
    let said = with_module(
        &window,
        &format!(
            "const ended = new Promise((resolve) => sessiond.onEnded(({{ reason }}) => resolve(reason)));
             // A stream that opens while the session ends is refused, which browsers write down as an error.
             const watched = new Promise((resolve) => sessiond.onSessionsChanged(resolve));
             await sessiond.login({});
             await watched;
             const headers = {{ 'Content-Type': 'application/json', 'X-Requested-With': 'another tab' }};
             await fetch('/login', {{ method: 'POST', headers, body: {} }});
             const reason = await ended;
             const asked = [];
             const trusted = window.fetch;
             window.fetch = (...request) => {{ asked.push(new URL(request[0]).pathname); return trusted(...request); }};
             const refused = async (asking) => {{ const error = await asking.catch((error) => error); return `${{error?.status}} ${{error?.slug}}`; }};
             const acts = [
               sessiond.rename('Mallory'), sessiond.sessions(), sessiond.revoke('x'), sessiond.revokeOthers(), sessiond.logout(),
               sessiond.changePassword('a', 'b'), sessiond.reauthenticate('a'), sessiond.call('GET', '/me'), sessiond.call('GET', 'sessions?session'),
             ];
             const refusals = new Set(await Promise.all(acts.map(refused)));
             const sent = asked.length;
             const found = await sessiond.me();
             const renamed = await sessiond.rename('Ana');
             return [reason, [...refusals], sent, found.user.name, found.user.email, renamed.user.name]",
            json!({ "email": owner.email, "password": PASSWORD }),
            json!(json!({ "email": other.email, "password": PASSWORD }).to_string())
        ),
    )
    .await;
    assert_eq!(said, json!(["replaced", ["401 unauthenticated"], 0, null, other.email, "Ana"]));
    window.assert_quiet().await;
}

/// A pause may be two minutes long, and the look after a refusal takes half a second.
#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_ends_in_its_pause_with_the_reason() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, owner) = (Driver::start(), server.signed_in().await);
    let window = driver.window().await;
    window.open(&format!("{}/reset", site(&server))).await;
    let said = with_module(
        &window,
        &format!(
            "await sessiond.login({});
             const problem = (status, slug) => () => Promise.resolve(new Response(JSON.stringify({{ type: `urn:sessiond:problem:${{slug}}` }}), {{ status, headers: {{ 'Retry-After': '60' }} }}));
             const aborted = async (ask, answer) => {{
               window.fetch = answer;
               const [stop, reason] = [new AbortController(), new Error('enough')];
               setTimeout(() => stop.abort(reason), 100);
               const begun = performance.now();
               const error = await ask({{ signal: stop.signal }}).catch((error) => error);
               return [error === reason, performance.now() - begun < 2000];
             }};
             const nobody = () => Promise.resolve(new Response('null'));
             return [
               await aborted(sessiond.sessions, problem(503, 'busy')),
               await aborted((options) => sessiond.rename('x', options), problem(503, 'busy')),
               await aborted(sessiond.sessions, (...request) => (String(request[0]).endsWith('/sessions') ? problem(401, 'unauthenticated')() : nobody())),
             ]",
            json!({ "email": owner.email, "password": PASSWORD })
        ),
    )
    .await;
    assert_eq!(said, json!([[true, true], [true, true], [true, true]]));
    let said = with_module(
        &window,
        "const { signal } = new AbortController();
         const stop = new AbortController();
         window.fetch = () => Promise.resolve(new Response(JSON.stringify({ user: {}, session: { id: 'one' } })));
         await sessiond.me({ signal });
         window.fetch = () => Promise.resolve(new Response('null'));
         setTimeout(() => stop.abort('enough'), 100);
         return sessiond.me({ signal: stop.signal }).catch((error) => error)",
    )
    .await;
    assert_eq!(said, "enough", "nobody is told that the session has ended");
}

/// A sign-in page of the network, say, or what a proxy shows instead: asked again, it would come again.
#[tokio::test]
async fn an_answer_that_is_not_the_service_s_is_neither_repeated_nor_taken_for_no_answer() {
    let server = TestServer::start(Backend::Embedded).await;
    let driver = Driver::start();
    let window = driver.window().await;
    window.open(&format!("{}/reset", site(&server))).await;
    let said = with_module(
        &window,
        "let asked = 0;
         const told = (error) => [error.status, error.slug, error.message];
         window.fetch = () => { asked += 1; return Promise.resolve(new Response('<p>Welcome to our network', { status: 203 })); };
         const foreign = await sessiond.me({ signal: AbortSignal.timeout(5000) }).catch(told);
         const broken = () => new ReadableStream({ start(body) { body.error(new TypeError('reset')); } });
         window.fetch = () => Promise.resolve(new Response(broken()));
         return [foreign, asked, (await sessiond.register({}).catch(told)).slice(0, 2)]",
    )
    .await;
    let words = "The answer did not come from this service. Check your connection and try again.";
    assert_eq!(said, json!([[203, "unreadable", words], 1, [0, "unreachable"]]));
    window.assert_quiet().await;
}

#[tokio::test]
async fn too_many_attempts_are_waited_for_when_it_is_short_and_told_when_it_is_long() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, email) = (Driver::start(), new_email());
    let visitor = server.anonymous();
    visitor.register(&email).await.assert_status(201);
    let window = driver.window().await;
    window.open(&format!("{}/reset", site(&server))).await;
    let attempt = format!(
        "const waited = [];
         const credentials = {};
         const answer = await sessiond.login(credentials, {{ onWait: (text) => waited.push(text) }}).catch((error) => error);
         return [waited.length, waited[0] ?? '', answer.status ?? 200, answer.retryAfter ?? 0, answer.message ?? '']",
        json!({ "email": email, "password": PASSWORD })
    );
    let guess = json!({ "email": email, "password": "not the password" }).to_string();
    let guesses = format!(
        "for (let status = 0; status !== 429;) {{
           const options = {{ method: 'POST', headers: {{ 'Content-Type': 'application/json' }}, body: {} }};
           ({{ status }} = await fetch('/login', options));
         }}",
        json!(guess)
    );
    let said = with_module(&window, &format!("{guesses}{attempt}")).await;
    println!("a short wait: {said}");
    assert_eq!(said[2], 200);
    assert!(said[1].as_str().expect("a sentence").starts_with("Too many attempts. Trying again in "), "{said}");

    let other = new_email();
    visitor.register(&other).await.assert_status(201);
    // As many as it takes until the wait is long: each time it is over, and the next guess is as wrong.
    for _ in 0..40 {
        let answer = visitor.login(&other, "not the password").await;
        let seconds = answer.header("Retry-After").and_then(|text| text.parse().ok()).unwrap_or(0);
        if seconds > 100 {
            break;
        }
        server.clock.advance(std::time::Duration::from_secs(seconds));
    }
    let said = with_module(&window, &attempt.replace(&email, &other)).await;
    println!("a long wait: {said}");
    assert_eq!((&said[0], &said[2]), (&json!(0), &json!(429)), "it is left to the person");
    assert!(said[3].as_u64().expect("seconds") > 5);
    assert!(said[4].as_str().expect("a sentence").starts_with("Too many attempts. Please try again in "), "{said}");
    window.assert_quiet_but_for(&["401 /login", "429 /login"]).await;
}

#[tokio::test]
async fn without_locks_each_tab_has_a_stream_of_its_own() {
    if !soak() {
        return;
    }
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, owner) = (Driver::start(), site(&server), server.signed_in().await);
    let window = driver.window().await;
    window.sign_in(&site, &owner.email, PASSWORD).await;
    let id = window.current_id(2).await;
    let mut tabs = vec![window.tab().await, window.new_tab().await];
    for tab in &tabs {
        window.go_to(tab).await;
        window.before_every_page(COUNT_STREAMS).await;
        window.before_every_page(WITHOUT_LOCKS).await;
        window.open(&format!("{site}/account")).await;
        window.has_account().await;
    }
    tabs.reverse();
    for tab in &tabs {
        window.go_to(tab).await;
        window.shows(ONE_IS_OPEN).await;
    }
    owner.end_session(&id).await.assert_status(204);
    for tab in &tabs {
        window.go_to(tab).await;
        window.text("#ended-reason").await;
    }
    window.assert_quiet().await;
}

#[tokio::test]
async fn a_silent_stream_is_opened_anew_and_a_silent_tab_is_not_waited_for() {
    if !soak() {
        return;
    }
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, owner) = (Driver::start(), site(&server), server.signed_in().await);
    let window = driver.window().await;
    window.sign_in(&site, &owner.email, PASSWORD).await;
    let id = window.current_id(2).await;
    // A tab that has the lock and does nothing with it, such as one that the browser has put to sleep.
    window.open(&format!("{site}/reset")).await;
    window
        .script(&format!("navigator.locks.request('sessiond:{id}', () => new Promise(() => {{}})).catch(() => {{}})"))
        .await;
    window.new_tab().await;
    window.before_every_page(HASTE).await;
    window.before_every_page(COUNT_STREAMS).await;
    window.open(&format!("{site}/account")).await;
    window.has_account().await;
    window.shows(ONE_IS_OPEN).await;

    // The connection is dead, and nobody has told the page.
    window.script("streams.forEach((stream) => EventSource.prototype.close.call(stream))").await;
    window.shows(ONE_IS_OPEN).await;
    owner.end_session(&id).await.assert_status(204);
    window.text("#ended-reason").await;
    window.assert_quiet().await;
}
