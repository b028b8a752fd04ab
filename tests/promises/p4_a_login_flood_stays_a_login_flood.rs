//! P4: memory is bounded, every sign-in is answered, and signed-in people do not notice.

use std::time::Duration;

use serde_json::json;

use crate::support::client::new_email;
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::requests::Requests;
use crate::support::server::Stores;

/// Sign-ins at once.
const FLOOD: usize = 400;
/// One hash's memory, and what so many connections and bodies may take beside it.
const MAX_GROWTH_KIB: usize = 19 * 1024 * 4 + 60 * 1024;

/// What the process holds in memory, in KiB.
fn resident_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_by_the_hundred() {
    let stores = Stores::of(Database::sqlite(), None);
    // All of it comes from one address; what is shown here is what the password gate withstands.
    let server = Process::start(&stores.settings().with("SESSIOND_SIGN_IN_ADDRESS_LIMIT", "1000000"));
    let person = server.anonymous().sign_up().await;
    let idle = resident_kib(server.pid());
    let attempts: Vec<_> = (0..FLOOD)
        .map(|_| {
            let stranger = server.anonymous();
            tokio::spawn(async move {
                let body = json!({ "email": new_email(), "password": "wrong, all of it" });
                tokio::time::timeout(Duration::from_secs(10), stranger.post_json("/login", &body)).await
            })
        })
        .collect();
    let mut peak = idle;
    for _ in 0..20 {
        assert_eq!(person.get("/auth/forward").await.status, 200, "signed-in people go on");
        peak = peak.max(resident_kib(server.pid()));
    }
    let (mut refused, mut busy) = (0, 0);
    for attempt in attempts {
        let answer = attempt.await.expect("a task").expect("every sign-in is answered in time");
        match answer.status {
            401 => refused += 1,
            503 => {
                assert!(answer.header("retry-after").is_some(), "{answer}");
                busy += 1;
            }
            _ => panic!("{answer}"),
        }
    }
    peak = peak.max(resident_kib(server.pid()));
    println!("{FLOOD} sign-ins at once: {refused} refused, {busy} told to come back; {idle} KiB, at most {peak} KiB");
    assert!(peak - idle < MAX_GROWTH_KIB, "{idle} KiB grew to {peak} KiB");
    person.me().await.assert_status(200);
}
