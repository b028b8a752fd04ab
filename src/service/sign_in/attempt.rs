//! Attempt: may a client try a password, and how does the attempt count?
//!
//! Owns the throttle of every route that checks a password. An attempt counts before any hash is computed, by the typed
//! address and by the client's address: concurrent attempts stay within the limit, and an unknown account is throttled
//! like a known one. It is given back when the password was right or the check failed; right passwords have their own
//! count. Must never fail: when Redis does not answer, this node counts alone, with a stricter limit.

use std::net::IpAddr;
use std::time::Duration;

use crate::domain::password::Verdict;
use crate::domain::throttle::{AttemptCount, Backoff, Counts, HARD_STOP, Permit, memory};
use crate::domain::throttle_key::{ShownDevice, ThrottleKey};
use crate::domain::{BucketId, Client, DeviceCookie, SessionId, Timestamp};
use crate::ledger::users::User;
use crate::live::{Live, LiveError};
use crate::service::core::spans::{Counted, Span};
use crate::service::core::throttled::Throttled;
use crate::service::core::unavailable::Unavailable;
use crate::service::risk::judge::Entry;
use crate::service::sign_in::SignIns;

/// How often an attempt tries again after another one was faster. Each round lets one attempt through, and after the
/// free attempts all others have to wait.
const CLAIMS: u32 = 8;

/// One permitted attempt. If it is dropped, it has failed, even when the client hung up.
#[must_use = "what is dropped has failed"]
pub(in crate::service) struct Attempt {
    room: SignIns,
    /// On the account's counter; or, on a known device, on the device's and on that of all devices together; or, in a
    /// live session, on the session's.
    at: Vec<Reserved>,
    familiar: bool,
    /// The counters of its address; empty on a known device and in a live session.
    networks: Vec<Counted>,
    /// Where a right password counts.
    proofs: Vec<Span>,
    from: IpAddr,
}

/// An attempt that one counter holds.
struct Reserved {
    bucket: BucketId,
    before: AttemptCount,
    /// Its number in Redis, if Redis counted it.
    number: Option<u32>,
}

impl SignIns {
    /// The device, if its cookie shows that this user has signed in on it and the epoch has not been raised since, for
    /// example by a new password.
    pub(in crate::service) fn known_device(&self, device: Option<&DeviceCookie>, user: &User) -> Option<ShownDevice> {
        let key = &self.core.throttle.key;
        let shown = key.recognise(device?, &user.email_key)?;
        (shown.epoch == key.device_epoch(user.id, user.epoch)).then_some(shown)
    }

    /// The device cookie for a browser on which the owner has just shown their password, at this epoch.
    pub(in crate::service) fn new_device(&self, user: &User, epoch: i64) -> DeviceCookie {
        let key = &self.core.throttle.key;
        key.issue(&user.email_key, key.device_epoch(user.id, epoch), self.core.random())
    }

    /// Counts a password attempt in a live session, or says how long to wait. Only the session counts: a thief in a
    /// stolen session cannot block the owner in another one, and strangers at the sign-in cannot either.
    pub(in crate::service) async fn reserve_attempt_in(
        &self,
        session: SessionId,
        client: &Client,
    ) -> Result<Attempt, Throttled> {
        let proofs = self.core.spans_of(&session.to_string(), Counts::SessionProofs);
        self.core.require_left(&proofs).await?;
        let at = vec![self.reserve(self.core.throttle.key.session(session), Backoff::RULE).await?];
        Ok(Attempt { room: self.clone(), at, familiar: true, networks: Vec::new(), proofs, from: client.ip })
    }

    /// Counts an attempt to sign in to an account, by its [`crate::domain::Email::key_of`], or says how long to wait.
    ///
    /// A request with the cookie of a device on which the owner has signed in counts only for devices: other clients,
    /// even behind the same address, cannot lock the owner out. A stranger who knows the password cannot either: right
    /// passwords count for the device, and for the account only from unknown devices.
    pub(in crate::service) async fn reserve_attempt(
        &self,
        email_key: &str,
        device: Option<ShownDevice>,
        client: &Client,
    ) -> Result<Attempt, Throttled> {
        let attempt = |at, networks, proofs| {
            let familiar = device.is_some();
            Attempt { room: self.clone(), at, familiar, networks, proofs, from: client.ip }
        };
        if let (Some(at), Some(device)) = (self.reserve_device(email_key, device).await?, device) {
            let proofs = self.core.spans_of(&ThrottleKey::device_name(email_key, device), Counts::DeviceProofs);
            let attempt = attempt(at, Vec::new(), proofs);
            return match self.core.require_left(&attempt.proofs).await {
                Ok(()) => Ok(attempt),
                Err(throttled) => Err(attempt.refuse(throttled).await),
            };
        }
        // A device with too many guesses is treated like an unknown one.
        let mut proofs = self.core.spans_of(email_key, Counts::Proofs);
        proofs.extend(self.core.spans_of_address(client, Counts::Proofs));
        self.core.require_left(&proofs).await?;
        let networks = self.core.count_in(&self.core.spans_of_address(client, Counts::Guesses)).await?;
        match self.reserve(self.core.throttle.key.account(email_key), Backoff::RULE).await {
            Ok(at) => Ok(Attempt { familiar: false, ..attempt(vec![at], networks, proofs) }),
            Err(throttled) => {
                self.core.uncount(&networks).await;
                Err(throttled)
            }
        }
    }

    /// Counts the attempt for a known device and for all devices of the account. None where there is no such device, or
    /// where it had too many guesses: then it is treated like an unknown one.
    async fn reserve_device(
        &self,
        email_key: &str,
        device: Option<ShownDevice>,
    ) -> Result<Option<Vec<Reserved>>, Throttled> {
        let Some(device) = device else { return Ok(None) };
        let key = &self.core.throttle.key;
        let together = match self.reserve(key.devices(email_key, device.epoch), Backoff::DEVICES).await {
            Err(Throttled { stopped: true, .. }) => return Ok(None),
            reserved => reserved?,
        };
        match self.reserve(key.device(email_key, device), Backoff::RULE).await {
            Ok(own) => Ok(Some(vec![own, together])),
            Err(throttled) => {
                self.unreserve(together).await;
                if throttled.stopped { Ok(None) } else { Err(throttled) }
            }
        }
    }

    /// Clears the failures of an account: it has a new password.
    pub(in crate::service) async fn forgive(&self, email_key: &str) {
        self.clear(self.core.throttle.key.account(email_key)).await;
    }

    async fn reserve(&self, bucket: BucketId, whole: Backoff) -> Result<Reserved, Throttled> {
        let (throttle, now) = (&self.core.throttle, self.core.clock().now());
        let rule = if self.core.live.is_some() { whole.ceiling() } else { whole };
        // The refusal never reports less than the rule for all nodes.
        let refusal = |rule: Backoff| {
            move |attempts| Throttled::account(rule.judge(attempts, now).max(whole.judge(attempts, now)))
        };
        let before = throttle.accounts.reserve(bucket, rule, now).map_err(refusal(rule))?;
        let Some(live) = &self.core.live else { return Ok(Reserved { bucket, before, number: None }) };
        match claim(live, &bucket, whole, now).await {
            Ok(Ok(number)) => Ok(Reserved { bucket, before, number: Some(number) }),
            Ok(Err(refusal)) => {
                throttle.accounts.give_back(bucket, before, now);
                Err(Throttled::account(refusal))
            }
            Err(error) => {
                throttle.goes_alone(&error);
                throttle.accounts.give_back(bucket, before, now);
                let alone = throttle.accounts.reserve(bucket, whole.alone(), now);
                let before = alone.map_err(refusal(whole.alone()))?;
                Ok(Reserved { bucket, before, number: None })
            }
        }
    }

    async fn unreserve(&self, Reserved { bucket, before, number }: Reserved) {
        self.core.throttle.accounts.give_back(bucket, before, self.core.clock().now());
        if let (Some(live), Some(number)) = (&self.core.live, number)
            && let Err(error) = live.give_back(&bucket, number).await
        {
            log::debug!("an attempt stays counted: {error}");
        }
    }

    async fn clear(&self, bucket: BucketId) {
        self.core.throttle.accounts.clear(bucket, self.core.clock().now());
        if let Some(live) = &self.core.live
            && let Err(error) = live.clear(&bucket).await
        {
            log::debug!("attempts stay counted: {error}");
        }
    }
}

impl Attempt {
    /// How many wrong passwords in a row, including this attempt if it fails.
    fn failures(&self) -> u32 {
        let own = self.at.first();
        own.map_or(0, |own| own.number.unwrap_or(own.before.count.saturating_add(1)))
    }

    /// The input for the risk rules, if it succeeds.
    pub(in crate::service) fn entry(&self) -> Entry {
        Entry { failures: self.failures().saturating_sub(1), familiar: self.familiar }
    }

    /// Whether the client is a device or session where the owner has signed in.
    pub(in crate::service) fn is_familiar(&self) -> bool {
        self.familiar
    }

    /// Ends the attempt: `verdict` is the hash pool's result, `open` whether the account may be entered at all. An
    /// attempt without a verdict is given back.
    pub(in crate::service) async fn settle(
        self,
        verdict: Result<Verdict, Unavailable>,
        open: bool,
    ) -> Result<Verdict, Unavailable> {
        match &verdict {
            Ok(Verdict::Match { .. }) if open => self.succeed().await,
            Ok(_) => self.fail(),
            Err(_) => self.give_back().await,
        }
        verdict
    }

    /// Resets the count of the account, or of the device; gives back the address' count.
    async fn succeed(self) {
        for at in &self.at {
            self.room.clear(at.bucket).await;
        }
        tokio::join!(self.room.core.uncount(&self.networks), self.room.core.count_done(&self.proofs));
    }

    fn fail(self) {
        if self.room.core.throttle.alarm.rings(self.room.core.clock().now()) {
            self.room.audit.note_flood();
        }
        let failures = self.failures();
        if failures == Backoff::RULE.free || failures == HARD_STOP {
            log::warn!("{failures} wrong passwords in a row for one account, the last one from {}", self.from);
        }
    }

    async fn give_back(self) {
        for at in self.at {
            self.room.unreserve(at).await;
        }
        self.room.core.uncount(&self.networks).await;
    }

    /// The attempt is not made after all.
    async fn refuse(self, why: Throttled) -> Throttled {
        self.give_back().await;
        why
    }
}

/// Claims the next attempt in Redis: its number, or why it is refused.
async fn claim(
    live: &Live,
    bucket: &BucketId,
    rule: Backoff,
    now: Timestamp,
) -> Result<Result<u32, Permit>, LiveError> {
    let mut attempts = AttemptCount::default();
    for _ in 0..CLAIMS {
        attempts = live.attempts(bucket).await?;
        match rule.judge(attempts, now) {
            Permit::Go => {}
            refusal => return Ok(Err(refusal)),
        }
        let number = attempts.count.saturating_add(1);
        if live.claim(bucket, number, now, memory(number)).await? {
            return Ok(Ok(number));
        }
    }
    let wait = rule.delay(attempts.count.saturating_add(1)).max(Duration::from_secs(1));
    Ok(Err(Permit::Wait(wait)))
}
