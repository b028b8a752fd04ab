//! How every page looks: on a telephone and on a desk, by day and by night.
//!
//! Nothing may stick out sideways or be cut off, and axe-core finds nothing wrong. With `SESSIOND_TEST_SCREENSHOTS` set to a folder, the pictures are there
//! afterwards, for people to look at.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::json;

use super::accessibility::assert_accessible;
use super::console_page::{alert_about, place};
use super::driver::Driver;
use super::page::site;
use super::window::Window;
use crate::support::client::PASSWORD;
use crate::support::requests::Requests as _;
use crate::support::server::{Backend, TestServer};

const SIZES: [(&str, u32, u32); 3] = [("narrow", 320, 640), ("phone", 390, 844), ("desk", 1280, 900)];
const SCHEMES: [&str; 2] = ["light", "dark"];

const DEVICES: [&str; 4] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "curl/8.5.0",
    "<img src=x onerror=alert(1)>",
];

/// The tables that are wider than the place that they have. Cards never are.
const CUT_OFF: &str = "return [...document.querySelectorAll('.wide')]
    .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).map(({ id }) => id)";

/// Where pictures are wanted.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SESSIOND_TEST_SCREENSHOTS").map(PathBuf::from)?;
    std::fs::create_dir_all(&folder).expect("a folder for the pictures");
    Some(folder)
}

/// A picture of the page as it is, where they are wanted.
async fn keep_picture(window: &Window, name: &str) {
    if let Some(folder) = folder() {
        std::fs::write(folder.join(format!("{name}.png")), window.picture().await).expect("a picture can be written");
    }
}

/// Looks at a page in every size and colour, and has axe-core look, in each colour once.
async fn look(window: &Window, name: &str) {
    let folder = folder();
    for (size, width, height) in SIZES {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone" });
        window.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        // Not `innerWidth`: a telephone zooms out until a page that is too wide fits.
        let sideways = window.script(&format!("return document.documentElement.scrollWidth > {width}")).await;
        assert_eq!(sideways, false, "{name} sticks out sideways on a {size}");
        let cut = window.script(CUT_OFF).await;
        assert!(size == "desk" || cut == json!([]), "{name}: cut off on a {size}: {cut}");
        for scheme in SCHEMES {
            // What is narrower still looks the same, and has only to fit.
            let judged = size != "narrow" && (size == "phone") == (scheme == "dark");
            if folder.is_none() && !judged {
                continue;
            }
            // Without motion, or a button would be half way from one colour to the other.
            let features = json!([
                { "name": "prefers-color-scheme", "value": scheme },
                { "name": "prefers-reduced-motion", "value": "reduce" },
            ]);
            window.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
            if judged {
                assert_accessible(window, &format!("{name}, {size}, {scheme}")).await;
            }
            keep_picture(window, &format!("{name}-{size}-{scheme}")).await;
        }
    }
}

/// The page behind a link for a new password, whatever comes of it.
async fn look_at_reset(window: &Window, server: &TestServer, site: &str, email: &str) {
    window.open(&format!("{site}/reset#{}", server.reset_token(email))).await;
    window.text("#reset-title").await;
    look(window, "8-reset").await;
    window.fill("#reset-password", "another pass phrase").await;
    window.click("#reset-submit").await;
    window.text("#done-title").await;
    look(window, "9-reset-done").await;
    window.open(&format!("{site}/reset#used")).await;
    window.fill("#reset-password", "another pass phrase").await;
    window.click("#reset-submit").await;
    window.text("#invalid-title").await;
    look(window, "10-reset-refused").await;
}

#[tokio::test]
async fn every_page_fits_on_a_telephone_and_on_a_desk() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site) = (Driver::start(), site(&server));
    let window = driver.window().await;
    let email = format!("{}@{}.example.org", "long".repeat(15), "longer".repeat(8));

    window.open(&format!("{site}/")).await;
    window.is_at_the_door().await;
    look(&window, "1-sign-in").await;
    window.try_sign_in(&site, &email, PASSWORD).await;
    window.says("#sign-in-result", "The e-mail address or the password is wrong.").await;
    look(&window, "2-sign-in-refused").await;
    window.click("#to-register").await;
    window.fill("#register-email", &email).await;
    window.fill("#register-password", "short").await;
    window.click("#register-submit").await;
    window.text("#register-password[aria-invalid]").await;
    look(&window, "3-register-refused").await;
    window.register(&site, &email, PASSWORD).await;
    look(&window, "4-account-new").await;

    window.rename("Ana Example").await;
    window.says("#name-result", "Saved.").await;
    let credentials = json!({ "email": email, "password": PASSWORD, "remember": true });
    for device in DEVICES {
        let somebody = server.anonymous();
        let call = somebody.call(Method::POST, "/login").header("User-Agent", device).json(&credentials);
        call.send().await.assert_status(200);
    }
    window.reload().await;
    let rows = window.rows(5).await;
    let devices: Vec<&str> = rows.iter().map(|row| row.device.as_str()).collect();
    assert_eq!(devices, ["Chrome on Linux", "Unknown device", "curl", "Firefox on Windows", "Safari on iOS"]);
    look(&window, "5-account").await;
    window.click(".session:not(.current) .end").await;
    window.text("#confirm-title").await;
    look(&window, "6-confirm").await;
    window.click("#confirm-yes").await;
    window.rows(4).await;
    window.change_password("not the password", "another pass phrase").await;
    window.text("#current-password[aria-invalid]").await;
    look(&window, "7-password-refused").await;
    window.open(&format!("{site}/?next=%2Faccount")).await;
    window.text("#already-who").await;
    look(&window, "11-signed-in-already").await;
    window.open(&format!("{site}/account")).await;
    window.rows(4).await;

    window.fill("#new-password", "violet tram").await;
    window.script("document.querySelector('#step-up').showModal()").await;
    look(&window, "7-step-up").await;
    window.script("document.querySelector('#step-up').close()").await;
    let other = server.anonymous().sign_in(&email, PASSWORD).await;
    window.rows(5).await;
    look(&window, "7-signed-in-elsewhere").await;
    other.end_others().await.assert_status(200);
    window.text("#ended-title").await;
    look(&window, "7-signed-out").await;

    look_at_reset(&window, &server, &site, &email).await;
    window.assert_quiet_but_for(&["401 /login", "422 /register", "403 /me/password", "422 /reset"]).await;
}

#[tokio::test]
async fn every_view_of_the_console_fits_on_a_telephone_and_on_a_desk() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, admin) = (Driver::start(), site(&server), server.admin().await);
    let email = format!("{}@{}.example.org", "long".repeat(15), "longer".repeat(8));
    server.anonymous().register(&email).await.assert_status(201);
    let user = server.anonymous().sign_in(&email, PASSWORD).await;
    place(&server, &user.session_id, "PT");
    alert_about(&server, &user.user_id, &[&user.session_id], &[&"Three sessions in three countries. ".repeat(5)]);

    let window = driver.window().await;
    window.open(&format!("{site}/console")).await;
    window.enter(&admin.person().email, PASSWORD).await;
    let person = format!("person?id={}&sessions={}", user.user_id, user.session_id);
    let views = ["overview", "sessions?country=PT", "people", &person, "alerts", "audit?event=authn_login_success"];
    for (number, view) in (1..).zip(views) {
        window.script(&format!("location.hash = {}", json!(view))).await;
        window.arrives_at_view(view).await;
        look(&window, &format!("console-{number}-{}", view.split('?').next().unwrap_or(view))).await;
    }
    window.script("location.hash = 'sessions?ip=nowhere'").await;
    window.text("#sessions-ip[aria-invalid]").await;
    window.script("location.hash = 'sessions?country=PT'").await;
    window.click("#sessions-end").await;
    window.says("#revoke-yes", "End 1 session").await;
    look(&window, "console-7-end").await;
    window.click("#revoke-no").await;
    window.script(&format!("location.hash = {}", json!(person))).await;
    window.acts("Delete…").await;
    look(&window, "console-8-ask").await;
    window.click("#ask-no").await;
    admin.person().end_others().await.assert_status(200);
    window.text("#ended-title").await;
    look(&window, "console-9-signed-out").await;
    window.sign_in(&site, &user.email, PASSWORD).await;
    window.open(&format!("{site}/console")).await;
    window.text("#refused-title").await;
    look(&window, "console-10-refused").await;
    window.assert_quiet_but_for(&["422 /admin/sessions"]).await;
}

/// A name that is written from right to left does not turn what stands beside it around, and everything has its size.
#[tokio::test]
async fn names_of_every_direction_and_narrow_windows_have_their_place() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, admin) = (Driver::start(), site(&server), server.admin().await);
    let window = driver.window().await;
    let narrow = json!({ "width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": false });
    window.devtools("Emulation.setDeviceMetricsOverride", narrow).await;
    window.open(&format!("{site}/")).await;
    let square = "const { width, height } = document.querySelector('#sign-in-remember').getBoundingClientRect(); return width === height";
    assert_eq!(window.script(square).await, true, "the box to tick is not squeezed");
    window.enter(&admin.person().email, PASSWORD).await;
    window.rename("\u{5d0}\u{5e0}\u{5d4} Example!").await;
    window.says("#name-result", "Saved.").await;
    let directions =
        "return ['#who', '#email', '#name'].map((css) => getComputedStyle(document.querySelector(css)).direction)";
    assert_eq!(window.script(directions).await, json!(["rtl", "ltr", "rtl"]));
    let begins = "const text = document.createRange(); text.selectNodeContents(document.querySelector('#who'));
        return Math.round(text.getBoundingClientRect().left)";
    assert_eq!(window.script(begins).await, 16, "it begins where the others do");

    window.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    window.open(&format!("{site}/console#sessions")).await;
    window.arrives_at_view("sessions").await;
    let room = "return document.querySelector('#sessions-created-after').getBoundingClientRect().width";
    let room = window.script(room).await.as_f64().expect("a width");
    assert!(room >= 264.0, "a moment with AM or PM has no room in {room} px");
}

/// Where a person has chosen the colours, nothing of ours may say something else.
#[tokio::test]
async fn chosen_colours_mark_one_way_and_nothing_is_blurred() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, admin) = (Driver::start(), site(&server), server.admin().await);
    let window = driver.window().await;
    let chosen = json!({ "features": [{ "name": "forced-colors", "value": "active" }] });
    window.devtools("Emulation.setEmulatedMedia", chosen).await;
    window.open(&format!("{site}/")).await;
    assert_eq!(window.script("return getComputedStyle(document.querySelector('.tag')).filter").await, "none");
    keep_picture(&window, "forced-colors-sign-in").await;
    window.open(&format!("{site}/console")).await;
    window.enter(&admin.person().email, PASSWORD).await;
    window.arrives_at_view("overview").await;
    keep_picture(&window, "forced-colors-console").await;
    let marked = "const paper = getComputedStyle(document.documentElement).backgroundColor;
        return [...document.querySelectorAll('#ways a')]
          .filter((way) => getComputedStyle(way).borderBottomColor !== paper).map((way) => way.textContent)";
    assert_eq!(window.script(marked).await, json!(["Overview"]));
}
