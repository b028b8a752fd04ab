//! An attempt to show a password: whether it may be made, and what becomes of its count.
//!
//! Owns the throttle of every route that checks a password. An attempt is counted before anything is hashed, by what was
//! typed and by where it comes from, so that attempts at the same time are as many as are allowed and no more, and so that
//! an account which does not exist is throttled like one which does. It is given back when the password was right, or when
//! nobody could tell; right ones are counted by themselves. Must never fail: where Redis does not answer, this node counts
//! alone, and more strictly.

use std::net::IpAddr;
use std::time::Duration;

use crate::domain::password::Verdict;
use crate::domain::throttle::{Backoff, Counts, HARD_STOP, Permit, Tally, memory};
use crate::domain::throttle_key::{ShownDevice, ThrottleKey};
use crate::domain::{BucketId, Client, DeviceCookie, SessionId, Timestamp};
use crate::ledger::users::User;
use crate::live::{Live, LiveError};
use crate::service::core::spans::{Counted, Span};
use crate::service::core::throttled::Throttled;
use crate::service::core::unavailable::Unavailable;
use crate::service::risk::judge::Entry;
use crate::service::sign_in::SignIns;

/// How often an attempt is claimed anew after another one was faster. Each time, one of them gets through, and after the
/// free ones all the others have to wait.
const CLAIMS: u32 = 8;

/// One attempt that may be made. If it is dropped, it has failed: also when the client hung up.
#[must_use = "what is dropped has failed"]
pub(in crate::service) struct Attempt {
    room: SignIns,
    /// On the account's counter; on a device that is known, on that one's and on the one of all devices together; in a live
    /// session, on that one's.
    at: Vec<Reserved>,
    familiar: bool,
    /// The counters of its address; none on a device that is known, and in a live session.
    networks: Vec<Counted>,
    /// Where it counts if the password is right.
    proofs: Vec<Span>,
    from: IpAddr,
}

/// An attempt on one counter.
struct Reserved {
    bucket: BucketId,
    before: Tally,
    /// Its number in Redis, if Redis has counted it.
    number: Option<u32>,
}

impl SignIns {
    /// A device on which this user has signed in, if the cookie says so and nothing has happened since that ends it: a
    /// new password, or anything else that raises the epoch.
    pub(in crate::service) fn known_device(&self, device: Option<&DeviceCookie>, user: &User) -> Option<ShownDevice> {
        let key = &self.core.throttle.key;
        let shown = key.recognise(device?, &user.email_key)?;
        (shown.epoch == key.device_epoch(user.id, user.epoch)).then_some(shown)
    }

    /// What the browser is given to keep after the owner has shown their password on it, at this epoch.
    pub(in crate::service) fn new_device(&self, user: &User, epoch: i64) -> DeviceCookie {
        let key = &self.core.throttle.key;
        key.issue(&user.email_key, key.device_epoch(user.id, epoch), self.core.random())
    }

    /// Counts an attempt to show the password in a live session, or says how long to wait. By the session alone: what a
    /// thief does in a session that he has stolen keeps the owner out of nothing in another one, and neither does what
    /// strangers do at the sign-in.
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
    /// Who shows a cookie of a device on which the owner has signed in is counted by the devices alone: others, also
    /// behind the same address, cannot lock the owner out. Nor can who knows the password: right ones count for the
    /// device, and only those of strangers for the account.
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
        // A device that was guessed on for too long is no better than any other.
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

    /// Counts it for a known device and for all of the account's together. None where there is no such device, or where
    /// it was guessed on for too long: then it is no better than any other.
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

    /// Forgets the failures of an account: its password is another one now.
    pub(in crate::service) async fn forgive(&self, email_key: &str) {
        self.clear(self.core.throttle.key.account(email_key)).await;
    }

    async fn reserve(&self, bucket: BucketId, whole: Backoff) -> Result<Reserved, Throttled> {
        let (throttle, now) = (&self.core.throttle, self.core.clock().now());
        let rule = if self.core.live.is_some() { whole.ceiling() } else { whole };
        // What is told is never less than the rule that holds for all nodes.
        let refusal =
            |rule: Backoff| move |tally| Throttled::account(rule.judge(tally, now).max(whole.judge(tally, now)));
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
    /// How many wrong ones there were in a row, this one included if it is.
    fn failures(&self) -> u32 {
        let own = self.at.first();
        own.map_or(0, |own| own.number.unwrap_or(own.before.count.saturating_add(1)))
    }

    /// What the rules about risk are told of it, if it succeeds.
    pub(in crate::service) fn entry(&self) -> Entry {
        Entry { failures: self.failures().saturating_sub(1), familiar: self.familiar }
    }

    /// Whether it is made where the owner has signed in.
    pub(in crate::service) fn is_familiar(&self) -> bool {
        self.familiar
    }

    /// The end of it: `verdict` is what the password gate said, `open` whether the account may be entered at all. What
    /// nobody could tell is given back.
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

    /// The account's count, or the device's, begins anew; the address' is what it was before.
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

    /// It was not to be made after all.
    async fn refuse(self, why: Throttled) -> Throttled {
        self.give_back().await;
        why
    }
}

/// Claims the next attempt in Redis: its number, or why it may not be made.
async fn claim(
    live: &Live,
    bucket: &BucketId,
    rule: Backoff,
    now: Timestamp,
) -> Result<Result<u32, Permit>, LiveError> {
    let mut tally = Tally::default();
    for _ in 0..CLAIMS {
        tally = live.tally(bucket).await?;
        match rule.judge(tally, now) {
            Permit::Go => {}
            refusal => return Ok(Err(refusal)),
        }
        let number = tally.count.saturating_add(1);
        if live.claim(bucket, number, now, memory(number)).await? {
            return Ok(Ok(number));
        }
    }
    let wait = rule.delay(tally.count.saturating_add(1)).max(Duration::from_secs(1));
    Ok(Err(Permit::Wait(wait)))
}
