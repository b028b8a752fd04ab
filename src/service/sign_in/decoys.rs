//! Decoys: what a sign-in with an unknown address costs where hashes of other systems are stored.
//!
//! A hash of another system takes another time than ours, so the time of a refusal would tell its accounts from addresses
//! without one. Therefore an unknown address costs what an account at it might: as many of them as accounts have such a
//! hash, always the same ones, cost what these hashes cost (invariant 8). Owns that choice, and the shares that it goes by.
//! Must never compare with a hash of anybody.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::password::StoredHash;
use crate::ledger::users::other_hashes::Shares;

/// The shares, as read last.
#[derive(Default)]
pub(in crate::service) struct Decoys(Mutex<Arc<Mix>>);

/// What accounts have.
#[derive(Default)]
struct Mix {
    accounts: u64,
    of_other_systems: u64,
    /// Some of those hashes, without anything of their owners.
    some: Vec<Arc<StoredHash>>,
}

impl Decoys {
    /// The work for the address of these numbers; asks for them only where there are such hashes.
    pub(super) fn decoy(&self, numbers: impl FnOnce() -> [u64; 2]) -> Option<Arc<StoredHash>> {
        let mix = Arc::clone(&self.0.lock());
        if mix.of_other_systems == 0 { None } else { mix.decoy(numbers()) }
    }

    /// Goes by these shares from now on.
    pub(super) fn set(&self, found: &Shares) {
        let some = found.some.iter().filter_map(|stored| StoredHash::parse(stored).ok());
        let some = some.map(|stored| Arc::new(stored.decoy())).collect();
        let mix = Mix { accounts: found.accounts, of_other_systems: found.of_other_systems, some };
        *self.0.lock() = Arc::new(mix);
    }
}

impl Mix {
    /// By two numbers that belong to the address.
    fn decoy(&self, [share, which]: [u64; 2]) -> Option<Arc<StoredHash>> {
        let place = (u128::from(share) * u128::from(self.accounts)) >> 64;
        if place >= u128::from(self.of_other_systems) {
            return None;
        }
        let some = u64::try_from(self.some.len()).ok()?;
        let which = usize::try_from(which.checked_rem(some)?).ok()?;
        self.some.get(which).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(accounts: u64, of_other_systems: u64) -> Mix {
        let stored =
            |salt: &str| StoredHash::parse(&format!("pbkdf2_sha256$1000${salt}$MDEyMzQ1Njc4OTAxMjM0NQ==")).unwrap();
        Mix { accounts, of_other_systems, some: vec![Arc::new(stored("a")), Arc::new(stored("b"))] }
    }

    fn slow(mix: &Mix) -> usize {
        (0..1_000_u64).filter(|part| mix.decoy([part * (u64::MAX / 1_000), *part]).is_some()).count()
    }

    #[test]
    fn as_many_unknown_addresses_as_accounts_cost_what_another_systems_hash_costs() {
        for (accounts, others, share) in [(10, 0, 0), (10, 10, 1_000), (4, 1, 250), (1_000_000, 900_000, 900)] {
            let found = slow(&mix(accounts, others));
            assert!(found.abs_diff(share) <= 1, "{others} of {accounts}: {found}");
        }
        assert!(Mix::default().decoy([0, 0]).is_none());
    }

    #[test]
    fn an_address_changes_once_as_users_sign_in() {
        let before = mix(1_000, 900);
        let after = mix(1_000, 500);
        for part in 0..1_000_u64 {
            let numbers = [part * (u64::MAX / 1_000), 0];
            assert!(before.decoy(numbers).is_some() || after.decoy(numbers).is_none(), "{part} went back");
        }
    }
}
