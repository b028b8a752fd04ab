//! Refusal counters: refused requests on their way into the audit log.
//!
//! Owns the limit on lines. Each refusal is its own line while its minute has room: a quota for one account or address,
//! and one for each event, so that a flood of one hides no other. Further refusals, and attempts that the throttle did
//! not compare, are counted for each account (or else each address) and become one line when the minute is over. So
//! lines in any minute and memory at any time are bounded. Works outside the requests' path: a request leaves its line
//! here, and a background task writes it within a second. Must never hold what a client typed longer than the lookup of
//! its account takes, and must never hold a password.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::event::Event;
use crate::domain::{Timestamp, UserId};
use crate::ledger::audit::Entry;

/// Lines for single refusals of one event in a minute.
const LINES: usize = 300;
/// Of these, lines for one account or address.
const LINES_EACH: u32 = 100;
/// Accounts and addresses with their own count in a minute, for each event; all others share one.
const SUBJECTS: usize = 300;
/// When counts become lines.
const MINUTE: Duration = Duration::from_secs(60);

/// The subject that a refusal counts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::service) enum Subject {
    /// An account.
    User(UserId),
    /// The account with this address if there is one, else the client's address.
    Named(String, IpAddr),
    /// An address, or the network of one subscriber.
    From(IpAddr),
    /// All subjects without a count of their own.
    Others,
}

/// One subject's refusals of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::service) struct RefusalCount {
    lines: u32,
    pub(in crate::service) more: u64,
}

pub(in crate::service) type RefusalCounts = HashMap<(Event, Subject), RefusalCount>;

/// The refusals of one node that are not written yet.
pub(in crate::service) struct RefusalCounters {
    pub(in crate::service) collected: Mutex<Collected>,
    /// Lines that the ledger did not take; locked while the ledger is asked.
    pub(in crate::service) written: tokio::sync::Mutex<Vec<Entry>>,
}

pub(in crate::service) struct Collected {
    since: Timestamp,
    lines: Vec<Entry>,
    used: HashMap<Event, Used>,
    counts: RefusalCounts,
}

/// The share of its minute that one event has used.
#[derive(Default)]
struct Used {
    lines: usize,
    subjects: usize,
}

impl RefusalCounters {
    pub(in crate::service) fn new(now: Timestamp) -> Self {
        let collected = Collected { since: now, lines: Vec::new(), used: HashMap::new(), counts: RefusalCounts::new() };
        Self { collected: Mutex::new(collected), written: tokio::sync::Mutex::default() }
    }
}

impl Collected {
    /// Adds a line, or counts it.
    pub(in crate::service) fn note(&mut self, subject: Subject, line: Entry) {
        let event = line.event;
        let has_room = self.used.get(&event).is_none_or(|used| used.lines < LINES);
        let count = self.count_of(event, subject);
        if has_room && count.lines < LINES_EACH {
            count.lines += 1;
            self.used.entry(event).or_default().lines += 1;
            self.lines.push(line);
        } else {
            count.more += 1;
        }
    }

    pub(in crate::service) fn count_of(&mut self, event: Event, subject: Subject) -> &mut RefusalCount {
        let key = (event, subject);
        let used = self.used.entry(event).or_default();
        let is_new = !self.counts.contains_key(&key);
        let fits = !is_new || used.subjects < SUBJECTS;
        used.subjects += usize::from(is_new && fits);
        self.counts.entry(if fits { key } else { (event, Subject::Others) }).or_default()
    }

    /// Takes what is to be written now: the lines and, when the minute is over or at the end, the counts with their
    /// start.
    pub(in crate::service) fn take(
        &mut self,
        now: Timestamp,
        at_end: bool,
    ) -> (Vec<Entry>, Option<(Timestamp, RefusalCounts)>) {
        let lines = std::mem::take(&mut self.lines);
        // A clock that was set back must not keep the minute open.
        if !at_end && now >= self.since && now.since(self.since) < MINUTE {
            return (lines, None);
        }
        self.used.clear();
        let since = std::mem::replace(&mut self.since, now);
        (lines, Some((since, std::mem::take(&mut self.counts))))
    }

    /// Takes back counts that could not be written.
    pub(in crate::service) fn put_back(&mut self, since: Timestamp, counts: RefusalCounts) {
        self.since = since;
        for ((event, subject), count) in counts {
            self.count_of(event, subject).more += count.more;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use uuid::Uuid;

    use super::*;
    use crate::domain::event::Actor;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(seconds * 1_000)
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(number))
    }

    fn line(ip: IpAddr) -> Entry {
        Entry {
            id: Uuid::nil(),
            at: at(0),
            event: Event::LoginFail,
            actor: Actor::Anonymous,
            user: None,
            session: None,
            ip: Some(ip),
            request_id: None,
            detail: None,
        }
    }

    fn collected(refusals: u32, addresses: u32) -> (usize, usize, u64) {
        let all = RefusalCounters::new(at(0));
        for number in 0..refusals {
            let from = address(number % addresses);
            all.collected.lock().note(Subject::From(from), line(from));
        }
        let (lines, counts) = all.collected.lock().take(at(60), false);
        let (_, counts) = counts.unwrap();
        let more: Vec<u64> = counts.values().map(|count| count.more).filter(|more| *more > 0).collect();
        (lines.len(), more.len(), more.iter().sum())
    }

    #[test]
    fn lines_are_bounded_whatever_comes_and_nothing_goes_uncounted() {
        assert_eq!(collected(99, 1), (99, 0, 0), "each is a line");
        assert_eq!(collected(5_000, 1), (100, 1, 4_900));
        let (lines, counts, sum) = collected(100_000, 50_000);
        assert_eq!((lines, lines + usize::try_from(sum).unwrap()), (LINES, 100_000));
        assert!(counts <= SUBJECTS + 1, "{counts}");
    }

    #[test]
    fn a_flood_of_one_event_hides_no_other() {
        let all = RefusalCounters::new(at(0));
        for number in 0..100_000 {
            let forged = Entry { event: Event::Forgery, ..line(address(number)) };
            all.collected.lock().note(Subject::From(address(number)), forged);
        }
        all.collected.lock().note(Subject::From(address(7)), line(address(7)));
        all.collected.lock().count_of(Event::LoginFailMax, Subject::From(address(8))).more += 1;
        let (lines, counts) = all.collected.lock().take(at(60), false);
        let of = |event| lines.iter().filter(|line| line.event == event).count();
        assert_eq!((of(Event::Forgery), of(Event::LoginFail)), (LINES, 1));
        let (_, counts) = counts.unwrap();
        assert!(counts.contains_key(&(Event::LoginFailMax, Subject::From(address(8)))), "nor whose it was");
        assert!(counts.len() <= SUBJECTS + 3, "{}", counts.len());
    }

    #[test]
    fn lines_go_at_once_and_counts_when_their_minute_is_over() {
        let all = RefusalCounters::new(at(0));
        for _ in 0..LINES_EACH + 1 {
            all.collected.lock().note(Subject::From(address(1)), line(address(1)));
        }
        let (lines, counts) = all.collected.lock().take(at(59), false);
        assert!(lines.len() == 100 && counts.is_none());
        all.collected.lock().note(Subject::From(address(1)), line(address(1)));
        let (lines, counts) = all.collected.lock().take(at(60), false);
        let (since, counts) = counts.unwrap();
        assert!(lines.is_empty() && since == at(0));
        assert_eq!(counts.values().next().unwrap().more, 2);
        // Counts that could not be written go on counting.
        all.collected.lock().put_back(since, counts);
        let (_, counts) = all.collected.lock().take(at(61), true);
        assert_eq!(counts.unwrap().1.values().next().unwrap().more, 2);
        all.collected.lock().note(Subject::From(address(1)), line(address(1)));
        assert!(all.collected.lock().take(at(1), false).1.is_some(), "a clock that was put back keeps no minute open");
    }
}
