//! Queue: bounded, and fair between sources.
//!
//! Owns the order and the refusals. A source with many requests only delays itself: sources take turns, and when all
//! places are taken, the source with the longest line gives one up to a source with a shorter line. Unknown and known
//! clients cannot take all of each other's places. Must never grow beyond its bounds, and never know what a job does.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::service::sign_in::hash_pool::source::Source;

/// Places in total. With one worker and 40 ms for a hash, the last of them waits two and a half seconds.
pub(super) const PLACES: usize = 64;
/// Places that unknown clients may take at most, and known clients too: the rest is kept for the other kind.
pub(super) const OF_A_KIND: usize = 48;
/// Places for one source.
pub(super) const OF_A_SOURCE: usize = 32;

/// A waiting job, with the number that withdraws it.
struct Waiting<J> {
    number: u64,
    job: J,
}

/// All waiting jobs of one source.
struct Line<J> {
    network: IpAddr,
    waiting: VecDeque<Waiting<J>>,
}

/// The lines of unknown, or of known clients: the first line has the next turn.
struct Lines<J>(VecDeque<Line<J>>);

/// The queue.
pub(super) struct Queue<J> {
    strangers: Lines<J>,
    familiar: Lines<J>,
    /// Unknown and known clients take turns, too.
    familiar_next: bool,
    next_number: u64,
}

/// The result of a push.
pub(super) enum Pushed<J> {
    /// The job waits.
    Waits {
        /// The number that withdraws it.
        number: u64,
        /// The job that made room for it.
        displaced: Option<J>,
    },
    /// There is no place for it.
    Full,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        let lines = || Lines(VecDeque::new());
        Self { strangers: lines(), familiar: lines(), familiar_next: false, next_number: 0 }
    }
}

impl<J> Queue<J> {
    /// Whether there is a place.
    pub(super) fn has_room(&self, source: Source) -> bool {
        let kind = self.kind(source);
        let own = kind.line(source.network).map_or(0, |line| line.waiting.len());
        let free = kind.len() < OF_A_KIND && self.len() < PLACES;
        own < OF_A_SOURCE && (free || kind.longest() > own + 1)
    }

    /// Adds a job at the end of its source's line.
    pub(super) fn push(&mut self, source: Source, job: J) -> Pushed<J> {
        if !self.has_room(source) {
            return Pushed::Full;
        }
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        let crowded = self.len() >= PLACES;
        let kind = self.kind_mut(source);
        let displaced = if crowded || kind.len() >= OF_A_KIND { kind.shorten_longest() } else { None };
        kind.add(source.network, Waiting { number, job });
        Pushed::Waits { number, displaced }
    }

    /// Takes the job whose turn it is.
    pub(super) fn pop(&mut self) -> Option<J> {
        let familiar_first = self.familiar_next;
        self.familiar_next = !familiar_first;
        let (first, second) = match familiar_first {
            true => (&mut self.familiar, &mut self.strangers),
            false => (&mut self.strangers, &mut self.familiar),
        };
        first.pop().or_else(|| second.pop())
    }

    /// Removes a job; none when it no longer waits.
    pub(super) fn withdraw(&mut self, source: Source, number: u64) -> Option<J> {
        self.kind_mut(source).withdraw(source.network, number)
    }

    /// How many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.strangers.len() + self.familiar.len()
    }

    fn kind(&self, source: Source) -> &Lines<J> {
        if source.familiar { &self.familiar } else { &self.strangers }
    }

    fn kind_mut(&mut self, source: Source) -> &mut Lines<J> {
        if source.familiar { &mut self.familiar } else { &mut self.strangers }
    }
}

impl<J> Lines<J> {
    fn len(&self) -> usize {
        self.0.iter().map(|line| line.waiting.len()).sum()
    }

    fn longest(&self) -> usize {
        self.0.iter().map(|line| line.waiting.len()).max().unwrap_or(0)
    }

    fn line(&self, network: IpAddr) -> Option<&Line<J>> {
        self.0.iter().find(|line| line.network == network)
    }

    fn add(&mut self, network: IpAddr, waiting: Waiting<J>) {
        match self.0.iter_mut().find(|line| line.network == network) {
            Some(line) => line.waiting.push_back(waiting),
            None => self.0.push_back(Line { network, waiting: VecDeque::from([waiting]) }),
        }
    }

    /// Removes the youngest job of the longest line: it would have been the last to be served.
    fn shorten_longest(&mut self) -> Option<J> {
        let line = self.0.iter_mut().max_by_key(|line| line.waiting.len())?;
        line.waiting.pop_back().map(|waiting| waiting.job)
    }

    fn pop(&mut self) -> Option<J> {
        let mut line = self.0.pop_front()?;
        let first = line.waiting.pop_front();
        if !line.waiting.is_empty() {
            self.0.push_back(line);
        }
        first.map(|waiting| waiting.job)
    }

    fn withdraw(&mut self, network: IpAddr, number: u64) -> Option<J> {
        let line = self.0.iter_mut().find(|line| line.network == network)?;
        let at = line.waiting.iter().position(|waiting| waiting.number == number)?;
        let taken = line.waiting.remove(at);
        self.0.retain(|line| !line.waiting.is_empty());
        taken.map(|waiting| waiting.job)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(number: u32, familiar: bool) -> Source {
        Source { network: IpAddr::V4(Ipv4Addr::from_bits(number)), familiar }
    }

    fn push(queue: &mut Queue<&'static str>, source: Source, job: &'static str) -> bool {
        let room = queue.has_room(source);
        let waits = matches!(queue.push(source, job), Pushed::Waits { .. });
        assert_eq!(room, waits, "what was said before is what happens");
        waits
    }

    fn drain(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn sources_take_turns() {
        let mut queue = Queue::default();
        for (source, job) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (2, "b2"), (3, "c1")] {
            assert!(push(&mut queue, from(source, false), job));
        }
        assert_eq!(drain(&mut queue), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn one_source_cannot_fill_it() {
        let mut queue = Queue::default();
        let taken = (0..1_000).filter(|_| push(&mut queue, from(1, false), "flood")).count();
        assert_eq!(taken, OF_A_SOURCE);
        assert!(push(&mut queue, from(2, false), "somebody"));
        assert_eq!(queue.pop(), Some("flood"));
        assert_eq!(queue.pop(), Some("somebody"), "the second turn is theirs");
    }

    #[test]
    fn a_long_line_makes_room_for_a_short_one() {
        let mut queue = Queue::default();
        for round in 0..1_000 {
            push(&mut queue, from(round % 2, false), "flood");
        }
        assert_eq!(queue.len(), OF_A_KIND);
        assert!(matches!(queue.push(from(7, false), "somebody"), Pushed::Waits { displaced: Some("flood"), .. }));
        assert_eq!(queue.len(), OF_A_KIND);
        // As many sources as places: each has one, and no source may displace another.
        let mut queue = Queue::default();
        let taken = (0..1_000).filter(|source| push(&mut queue, from(*source, false), "one")).count();
        assert_eq!(taken, OF_A_KIND);
    }

    #[test]
    fn a_share_is_kept_for_people_who_are_known_and_one_for_strangers() {
        for flood in [false, true] {
            let mut queue = Queue::default();
            for source in 0..1_000 {
                push(&mut queue, from(source, flood), "flood");
            }
            let others = (0..1_000).filter(|source| push(&mut queue, from(*source, !flood), "other")).count();
            assert_eq!(others, PLACES - OF_A_KIND);
            assert!(drain(&mut queue).iter().take(4).filter(|job| **job == "other").count() == 2, "they take turns");
        }
    }

    #[test]
    fn who_gives_up_leaves_their_place() {
        let mut queue = Queue::default();
        let Pushed::Waits { number, .. } = queue.push(from(1, false), "gone") else { panic!("there is room") };
        push(&mut queue, from(1, false), "stays");
        assert_eq!(queue.withdraw(from(1, false), number), Some("gone"));
        assert_eq!(queue.withdraw(from(1, false), number), None);
        assert_eq!(drain(&mut queue), ["stays"]);
        assert_eq!(queue.len(), 0);
    }
}
