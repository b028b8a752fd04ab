//! Security log: turns refusals into lines of the audit log.
//!
//! Owns the content of each kind of refusal, and the writing, which a background task does within a second.
//! [`super::refusal_counters`] limits the number of lines.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::domain::event::{Actor, Event};
use crate::domain::throttle::subscriber;
use crate::domain::{Client, Email, Timestamp, UserId};
use crate::ledger::audit::Entry;
use crate::ledger::{LedgerError, audit, users};
use crate::service::audit::Audit;
use crate::service::audit::refusal_counters::{RefusalCounts, Subject};
use crate::service::core::alarm::MANY;
use crate::service::core::audit_context::AuditContext;
use crate::service::core::checked::Checked;
use crate::service::core::throttled::Throttled;

/// A sign-in whose password may already be compared: if the client hangs up before the answer, it failed, as for the
/// throttle.
#[must_use = "what is dropped has failed"]
pub(in crate::service) struct Unanswered<'a> {
    room: &'a Audit,
    client: &'a Client,
    open: bool,
}

impl<'a> Unanswered<'a> {
    pub(in crate::service) fn new(room: &'a Audit, client: &'a Client) -> Self {
        Self { room, client, open: true }
    }

    /// The sign-in is answered, with any answer.
    pub(in crate::service) fn answer(mut self) {
        self.open = false;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.open {
            self.room.note_login_failure(None, self.client, Some("hung up"));
        }
    }
}

impl Audit {
    /// A refusal without a throttle: the session lacks a permission, or the request is a forgery. `detail` says of
    /// what, if that needs no text that a client typed.
    pub fn note_refusal(&self, event: Event, session: Option<&Checked>, client: &Client, detail: Option<String>) {
        let user = session.map(|checked| checked.user);
        let actor = user.filter(|_| event == Event::AccessFail).map_or(Actor::Anonymous, Actor::User);
        let context = AuditContext { actor, client: Some(client.clone()), authority: None, forced: false };
        self.note_line(Entry { detail, ..self.entry(event, &context, user, session.map(|checked| checked.session)) });
    }

    /// A refused sign-in, of this account if there is one; the reason, if it was not the password.
    pub(in crate::service) fn note_login_failure(&self, user: Option<UserId>, client: &Client, why: Option<&str>) {
        let line = self.entry(Event::LoginFail, &AuditContext::anonymous(client), user, None);
        self.note_line(Entry { detail: why.map(ToOwned::to_owned), ..line });
    }

    /// An old token that was not exchanged, and why.
    pub(in crate::service) fn note_exchange_failure(&self, client: &Client, why: String) {
        let line = self.entry(Event::TokenExchangeFail, &AuditContext::anonymous(client), None, None);
        self.note_line(Entry { detail: Some(why), ..line });
    }

    /// Very many wrong passwords in one minute, for any accounts: alerts the operator at once.
    pub(in crate::service) fn note_flood(&self) {
        let said = format!("{MANY} wrong passwords within a minute");
        let name = Event::GuessingFlood.name();
        log::warn!(target: "sessiond::security", "event={name} request=- ip=- user=- session=-: {said}");
        let context = AuditContext::server(None);
        self.note_line(Entry { detail: Some(said), ..self.entry(Event::GuessingFlood, &context, None, None) });
    }

    /// A wrong password from a signed-in user.
    pub(in crate::service) fn note_password_failure(&self, checked: &Checked, client: &Client) {
        let context = AuditContext::user(checked.user, client);
        self.note_line(self.entry(Event::PasswordFail, &context, Some(checked.user), Some(checked.session)));
    }

    /// A password that was not compared: too many wrong ones for the account or from the address.
    pub(in crate::service) fn note_throttled(&self, email_key: &str, throttled: &Throttled, client: &Client) {
        let from = subscriber(client.ip);
        // Do not keep an address that no account can have: it may be as long as a body.
        let named = throttled.is_of_account() && Email::parse(email_key).is_ok();
        let subject = if named { Subject::Named(email_key.to_owned(), from) } else { Subject::From(from) };
        self.refusals.collected.lock().count_of(Event::LoginFailMax, subject).more += 1;
    }

    /// Counts tokens from one address that open no session, once there are more than is normal.
    pub(in crate::service) fn note_unknown_tokens(&self, from: IpAddr, more: u64) {
        self.refusals.collected.lock().count_of(Event::TokenFail, Subject::From(from)).more += more;
    }

    fn note_line(&self, line: Entry) {
        let from = line.ip.map_or(Subject::Others, |ip| Subject::From(subscriber(ip)));
        let subject = line.user.map_or(from, Subject::User);
        self.refusals.collected.lock().note(subject, line);
    }

    /// Writes the collected lines; at the end, also the counts of the unfinished minute. Lines that the ledger does not
    /// take stay, and no further lines are taken until it does.
    pub(in crate::service) async fn write_refusals(&self, at_end: bool) -> Result<(), LedgerError> {
        let mut unwritten = self.refusals.written.lock().await;
        self.append_all(&mut unwritten).await?;
        let (lines, counts) = self.refusals.collected.lock().take(self.core.clock().now(), at_end);
        *unwritten = lines;
        if let Some((since, counts)) = counts {
            unwritten.extend(self.counted(since, counts).await?);
        }
        self.append_all(&mut unwritten).await
    }

    async fn append_all(&self, lines: &mut Vec<Entry>) -> Result<(), LedgerError> {
        if lines.is_empty() {
            return Ok(());
        }
        let batch = lines.clone();
        // Writes each line once, even if the ledger did not acknowledge an earlier write.
        let append = self.core.ledger.write_aside(move |db| batch.iter().try_for_each(|it| audit::append_once(db, it)));
        append.await?;
        lines.clear();
        Ok(())
    }

    /// The lines for the counts.
    async fn counted(&self, since: Timestamp, mut counts: RefusalCounts) -> Result<Vec<Entry>, LedgerError> {
        counts.retain(|_, count| count.more > 0);
        if counts.is_empty() {
            return Ok(Vec::new());
        }
        let names = counts.keys().filter_map(|(_, subject)| match subject {
            Subject::Named(key, _) => Some(key.clone()),
            _ => None,
        });
        let names: Vec<String> = names.collect();
        let owners = self.core.ledger.read_at_entrance(move |db| {
            let owner = |name: String| Ok((users::find_by_email(db, &name)?.map(|user| user.id), name));
            names.into_iter().map(owner).collect::<Result<Vec<_>, LedgerError>>()
        });
        let owners = match owners.await {
            Ok(owners) => owners.into_iter().filter_map(|(id, name)| Some((name, id?))).collect::<HashMap<_, _>>(),
            Err(error) => {
                self.refusals.collected.lock().put_back(since, counts);
                return Err(error);
            }
        };
        let mut resolved: HashMap<(Event, Subject), u64> = HashMap::new();
        for ((event, subject), count) in counts {
            let subject = match subject {
                Subject::Named(key, from) => owners.get(&key).map_or(Subject::From(from), |id| Subject::User(*id)),
                other => other,
            };
            *resolved.entry((event, subject)).or_default() += count.more;
        }
        Ok(resolved.into_iter().map(|((event, subject), more)| self.count_line(since, event, &subject, more)).collect())
    }

    fn count_line(&self, since: Timestamp, event: Event, subject: &Subject, more: u64) -> Entry {
        let now = self.core.clock().now();
        let (user, ip) = match subject {
            Subject::User(id) => (Some(*id), None),
            Subject::Named(_, from) | Subject::From(from) => (None, Some(*from)),
            Subject::Others => (None, None),
        };
        Entry {
            id: self.core.line_id(now),
            at: now,
            event,
            actor: Actor::Anonymous,
            user,
            session: None,
            ip,
            request_id: None,
            detail: Some(format!("{more} since {}", since.to_rfc3339())),
        }
    }
}
