//! A crowd of sessions, put straight into the ledger: for tests that need many of them.
//!
//! Owns making the rows, by the ledger's own functions. Their tokens are known, so that each can be asked about.

use std::time::Duration;

use sessiond::domain::session::Terms;
use sessiond::domain::{Client, Email, Roles, SessionId, SystemRandom, Timestamp, Token, UserId};
use sessiond::ledger::sessions::{self, Session};
use sessiond::ledger::{Ledger, users};

/// Rows in one transaction.
const BATCH: usize = 200;

/// One of them.
#[derive(Clone)]
pub struct Member {
    /// What its browser has.
    pub token: String,
    /// Its row.
    pub row: Session,
}

/// Somebody new, without a password that fits.
pub async fn user(ledger: &Ledger, now: Timestamp) -> UserId {
    let id = UserId::generate(now, &SystemRandom);
    let user = users::NewUser {
        id,
        email: Email::parse(&format!("{id}@example.org")).expect("an address"),
        name: None,
        password_hash: String::new(),
        roles: Roles::new_account(),
        created_at: now,
    };
    ledger.write(move |db| users::insert(db, &user)).await.expect("a user");
    id
}

/// So many sessions of this user, issued at `now`; `change` makes each of them what it should be.
pub async fn gather(
    ledger: &Ledger,
    user: UserId,
    now: Timestamp,
    size: usize,
    change: impl Fn(usize, &mut Session),
) -> Vec<Member> {
    let mut members: Vec<_> = (0..size).map(|_| member(user, now)).collect();
    for (number, member) in members.iter_mut().enumerate() {
        change(number, &mut member.row);
        member.row.last_ip_key = Some(sessions::ip_key(member.row.last_ip.parse().expect("an address")));
        member.row.sign_in_ip_key = Some(sessions::ip_key(member.row.sign_in_ip.parse().expect("an address")));
        // As sign-in does: an id is the moment of its session.
        member.row.id = SessionId::generate(member.row.created_at, &SystemRandom);
    }
    for batch in members.chunks(BATCH) {
        let rows: Vec<_> = batch.iter().map(|member| member.row.clone()).collect();
        let insert = ledger.write(move |db| rows.iter().try_for_each(|row| sessions::insert(db, row.clone())));
        insert.await.expect("rows");
    }
    members
}

fn member(user: UserId, now: Timestamp) -> Member {
    let token = Token::generate(&SystemRandom);
    let terms = Terms { idle: Duration::from_secs(8 * 3_600), absolute: Duration::from_secs(12 * 3_600) };
    let client = Client { ip: [192, 0, 2, 1].into(), user_agent: None, request_id: uuid::Uuid::nil() };
    let id = SessionId::generate(now, &SystemRandom);
    let row = Session::new(id, user, token.hash(), (terms, false), &client, now);
    Member { token: token.expose().to_string(), row }
}
