//! Copies: a bounded map from credentials to what their records said.
//!
//! Owns the map and its keys: 128 bits of a keyed hash, so that no token is kept and nobody can choose two credentials
//! with one key. A copy is kept only after a signature was verified, so forged cookies occupy nothing. Must never decide
//! whether a copy counts: see [`super::recall`].

use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;
use siphasher::sip128::SipHasher24;

use super::counts::Counts;
use crate::domain::session::Deadlines;
use crate::domain::{DeviceMark, Random, SessionId, Timestamp, TokenHash, UserId, random};
use crate::live::StoreLease;
use crate::service::core::checked::Checked;
use crate::service::fence::node_lease::Mark;

/// The key of a copy. In two halves, so that nothing around it is aligned to 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CopyKey(u64, u64);

impl std::fmt::Debug for CopyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CopyKey(…)")
    }
}

impl std::hash::Hash for CopyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // It is a keyed hash already: any part of it will do.
        state.write_u64(self.0);
    }
}

/// Takes what it is given for the hash.
#[derive(Clone, Default)]
pub(in crate::service) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// What a record said, and under which conditions it still counts. Packed: there may be millions.
pub(in crate::service) struct Copy {
    session: SessionId,
    user: UserId,
    token_hash: TokenHash,
    last_seen: Timestamp,
    expires: Timestamp,
    proven_at: Option<Timestamp>,
    idle_ms: u64,
    due_ms: u64,
    /// How long the Redis process is trusted that it was read from.
    pub(in crate::service) trust: Arc<StoreLease>,
    /// The mark before the record was read.
    pub(in crate::service) mark: Mark,
    ip: IpAddr,
    device: DeviceMark,
    has_data: bool,
}

impl Copy {
    /// A copy of what a check found in an ordinary session. `due`: when the last-seen time has to be written again, on the stopwatch.
    pub(in crate::service) fn new(checked: Checked, mark: Mark, trust: Arc<StoreLease>, due: Duration) -> Self {
        let Checked { session, user, token_hash, deadlines, ip, has_data, device, proven_at, acting: _ } = checked;
        let Deadlines { last_seen, idle, expires } = deadlines;
        let (idle_ms, due_ms) = (whole_ms(idle), whole_ms(due));
        Self {
            session,
            user,
            token_hash,
            last_seen,
            expires,
            proven_at,
            idle_ms,
            due_ms,
            trust,
            mark,
            ip,
            device,
            has_data,
        }
    }

    /// What the check found.
    pub(in crate::service) fn checked(&self) -> Checked {
        let idle = Duration::from_millis(self.idle_ms);
        Checked {
            session: self.session,
            user: self.user,
            token_hash: self.token_hash,
            deadlines: Deadlines { last_seen: self.last_seen, idle, expires: self.expires },
            ip: self.ip,
            has_data: self.has_data,
            device: self.device,
            proven_at: self.proven_at,
            acting: None,
        }
    }

    /// When the last-seen time has to be written again, on the stopwatch.
    pub(in crate::service) fn due(&self) -> Duration {
        Duration::from_millis(self.due_ms)
    }
}

/// Rounded down: never later.
fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The copies of this node.
pub struct Copies {
    map: Cache<CopyKey, Arc<Copy>, UnitWeighter, BuildHasherDefault<AsIs>>,
    keyed: SipHasher24,
    /// The counts of all workers.
    pub(in crate::service) counts: Mutex<Vec<Arc<Counts>>>,
}

impl Copies {
    /// Room for this many copies.
    pub(in crate::service) fn new(entries: usize, random: &dyn Random) -> Self {
        let key = random::bytes::<16>(random);
        let capacity = u64::try_from(entries).unwrap_or(u64::MAX);
        Self {
            map: Cache::with(entries, capacity, UnitWeighter, BuildHasherDefault::default(), Default::default()),
            keyed: SipHasher24::new_with_key(&key),
            counts: Mutex::default(),
        }
    }

    pub(in crate::service) fn key(&self, credential: &[u8]) -> CopyKey {
        let hash = self.keyed.hash(credential);
        CopyKey(hash.h1, hash.h2)
    }

    pub(in crate::service) fn get(&self, key: &CopyKey) -> Option<Arc<Copy>> {
        self.map.get(key)
    }

    pub(in crate::service) fn put(&self, key: CopyKey, copy: Copy) {
        self.map.insert(key, Arc::new(copy));
    }

    /// How many copies there are, also those that do not count any more.
    pub(in crate::service) fn entries(&self) -> usize {
        self.map.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::domain::{SystemRandom, Token};

    const ENTRIES: usize = 100_000;

    fn resident_bytes() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").ok();
        let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
        pages.unwrap_or_default() * 4_096
    }

    fn copy(trust: &Arc<StoreLease>) -> Copy {
        let now = Timestamp::from_ms(0);
        let checked = Checked {
            session: SessionId::UNKNOWN,
            user: UserId::parse("01937c5e-7b1a-7c3d-8e4f-001122334455").expect("an id"),
            token_hash: Token::generate(&SystemRandom).hash(),
            deadlines: Deadlines { last_seen: now, idle: Duration::from_secs(1_800), expires: now },
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            has_data: false,
            device: DeviceMark::UNKNOWN,
            proven_at: None,
            acting: None,
        };
        Copy::new(checked, Mark::default(), Arc::clone(trust), Duration::ZERO)
    }

    #[test]
    fn copies_are_bounded_and_take_as_much_memory_as_the_documents_say() {
        let (copies, trust) = (Copies::new(ENTRIES, &SystemRandom), Arc::<StoreLease>::default());
        let before = resident_bytes();
        for number in 0..ENTRIES {
            copies.put(copies.key(&number.to_be_bytes()), copy(&trust));
        }
        let each = resident_bytes().saturating_sub(before) / copies.entries();
        println!("{} copies, {each} bytes each", copies.entries());
        assert!(each < 400, "{each} bytes each");
        for number in ENTRIES..5 * ENTRIES {
            copies.put(copies.key(&number.to_be_bytes()), copy(&trust));
        }
        assert!(copies.entries() <= ENTRIES);
        let all = resident_bytes().saturating_sub(before) / ENTRIES;
        println!("five times as many were kept: {all} bytes for each place");
        assert!(all < 500, "{all} bytes for each place");
    }
}
