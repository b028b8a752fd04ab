//! An attempt to show a password: whether it may be made, and what becomes of its count.
//!
//! Owns the throttle of every route that checks a password. An attempt is counted before anything is looked up or hashed,
//! by what was typed and by where it comes from, so that attempts at the same time are as many as are allowed and no
//! more, and so that an account which does not exist is throttled like one which does. It is given back when the password
//! was right, or when nobody could tell. Must never fail: where Redis does not answer, this node counts alone, and more
//! strictly.

use std::net::IpAddr;
use std::time::Duration;

use super::risk::Entry;
use super::throttle::{ADDRESS_WINDOW, Throttled};
use super::{App, Unavailable};
use crate::domain::password::Verdict;
use crate::domain::throttle::{Backoff, Counts, HARD_STOP, Network, Permit, Tally, Window, memory, networks};
use crate::domain::{BucketId, Client, DeviceCookie, Timestamp};
use crate::live::{Live, LiveError};

/// Of an address' limit, this node alone allows one part of so many while it does not know what the others allow.
const ALONE_SHARE: u32 = 4;

/// How often an attempt is claimed anew after another one was faster. Each time, one of them gets through, and after the
/// free ones all the others have to wait.
const CLAIMS: u32 = 8;

/// One attempt that may be made. If it is dropped, it has failed: also when the client hung up.
#[must_use = "what is dropped has failed"]
pub(super) struct Attempt {
    app: App,
    at: Reserved,
    /// The counters of its address; none on a device that is known.
    networks: Vec<Counted>,
    from: IpAddr,
}

/// An attempt on an account's counter or a device's.
struct Reserved {
    bucket: BucketId,
    before: Tally,
    /// Its number in Redis, if Redis has counted it.
    number: Option<u32>,
}

/// An attempt on the counter of a network.
pub(super) struct Counted {
    bucket: BucketId,
    in_redis: bool,
}

impl App {
    /// Counts an attempt to show the password of an account, by its [`crate::domain::Email::key_of`], or says how long
    /// to wait. Every route that checks a password asks here first.
    ///
    /// Who shows a cookie of a device on which the owner has signed in is counted by that device alone: others, also
    /// behind the same address, cannot lock the owner out.
    pub(super) async fn reserve_attempt(
        &self,
        email_key: &str,
        device: Option<&DeviceCookie>,
        client: &Client,
    ) -> Result<Attempt, Throttled> {
        let key = &self.shared.throttle.key;
        if let Some(bucket) = device.and_then(|device| key.recognise(device, email_key)) {
            match self.reserve(bucket).await {
                // Guessed at for too long: it is no better than any other device.
                Err(Throttled { stopped: true, .. }) => {}
                reserved => {
                    return Ok(Attempt { app: self.clone(), at: reserved?, networks: Vec::new(), from: client.ip });
                }
            }
        }
        let networks = self.count_networks(client, Counts::Guesses).await?;
        match self.reserve(key.account(email_key)).await {
            Ok(at) => Ok(Attempt { app: self.clone(), at, networks, from: client.ip }),
            Err(throttled) => {
                self.uncount(&networks).await;
                Err(throttled)
            }
        }
    }

    /// Forgets the failures of an account: its password is another one now.
    pub(super) async fn forgive(&self, email_key: &str) {
        self.clear(self.shared.throttle.key.account(email_key)).await;
    }

    async fn reserve(&self, bucket: BucketId) -> Result<Reserved, Throttled> {
        let (throttle, now) = (&self.shared.throttle, self.clock().now());
        let rule = if self.live.is_some() { Backoff::CEILING } else { Backoff::RULE };
        // What is told is never less than the rule that holds for all nodes.
        let refusal = |rule: Backoff| {
            move |tally| Throttled::account(rule.judge(tally, now).max(Backoff::RULE.judge(tally, now)))
        };
        let before = throttle.accounts.reserve(bucket, rule, now).map_err(refusal(rule))?;
        let Some(live) = &self.live else { return Ok(Reserved { bucket, before, number: None }) };
        match claim(live, &bucket, now).await {
            Ok(Ok(number)) => Ok(Reserved { bucket, before, number: Some(number) }),
            Ok(Err(refusal)) => {
                throttle.accounts.give_back(bucket, before, now);
                Err(Throttled::account(refusal))
            }
            Err(error) => {
                throttle.goes_alone(&error);
                throttle.accounts.give_back(bucket, before, now);
                let alone = throttle.accounts.reserve(bucket, Backoff::ALONE, now);
                let before = alone.map_err(refusal(Backoff::ALONE))?;
                Ok(Reserved { bucket, before, number: None })
            }
        }
    }

    /// Counts for the address and for each network around it, or for none of them.
    pub(super) async fn count_networks(&self, client: &Client, what: Counts) -> Result<Vec<Counted>, Throttled> {
        let mut counted = Vec::new();
        for network in networks(client.ip) {
            match self.count_network(&network, what).await {
                Ok(one) => counted.push(one),
                Err(throttled) => {
                    self.uncount(&counted).await;
                    return Err(throttled);
                }
            }
        }
        Ok(counted)
    }

    async fn count_network(&self, network: &Network, what: Counts) -> Result<Counted, Throttled> {
        let (throttle, now) = (&self.shared.throttle, self.clock().now());
        let window = Window { limit: self.shared.policy.sign_in_address_limit, length: ADDRESS_WINDOW };
        let limit = window.limit.saturating_mul(network.share);
        let bucket = throttle.key.network(network, what, window.number(now));
        // Whichever network it was: what is told is the rule for one address.
        let refusal = || Throttled::address(window, now);
        if !throttle.addresses.count(bucket, limit, now) {
            return Err(refusal());
        }
        let Some(live) = &self.live else { return Ok(Counted { bucket, in_redis: false }) };
        let counted = Counted { bucket, in_redis: true };
        match live.count(&bucket, 1, ADDRESS_WINDOW).await {
            Ok(count) if count <= i64::from(limit) => Ok(counted),
            Ok(_) => {
                self.uncount(&[counted]).await;
                Err(refusal())
            }
            Err(error) => {
                throttle.goes_alone(&error);
                throttle.addresses.uncount(bucket, now);
                let fits = throttle.addresses.count(bucket, limit.div_ceil(ALONE_SHARE), now);
                fits.then_some(Counted { bucket, in_redis: false }).ok_or_else(refusal)
            }
        }
    }

    /// Takes back what was counted.
    pub(super) async fn uncount(&self, networks: &[Counted]) {
        for counted in networks {
            self.shared.throttle.addresses.uncount(counted.bucket, self.clock().now());
            if let Some(live) = self.live.as_ref().filter(|_| counted.in_redis)
                && let Err(error) = live.count(&counted.bucket, -1, ADDRESS_WINDOW).await
            {
                log::debug!("an attempt stays counted: {error}");
            }
        }
    }

    async fn clear(&self, bucket: BucketId) {
        self.shared.throttle.accounts.clear(bucket, self.clock().now());
        if let Some(live) = &self.live
            && let Err(error) = live.clear(&bucket).await
        {
            log::debug!("attempts stay counted: {error}");
        }
    }
}

impl Attempt {
    /// What the rules about risk are told of it, if it succeeds.
    pub(super) fn entry(&self) -> Entry {
        let before = self.at.number.map_or(self.at.before.count, |number| number.saturating_sub(1));
        Entry { failures: before, familiar: self.is_familiar() }
    }

    /// Whether it is made on a device on which the owner has signed in.
    pub(super) fn is_familiar(&self) -> bool {
        self.networks.is_empty()
    }

    /// The end of it: `verdict` is what the password gate said, `open` whether the account may be entered at all. What
    /// nobody could tell is given back.
    pub(super) async fn settle(
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
        tokio::join!(self.app.clear(self.at.bucket), self.app.uncount(&self.networks));
    }

    fn fail(self) {
        if self.app.shared.throttle.alarm.rings(self.app.clock().now()) {
            self.app.note_flood();
        }
        let failures = self.at.number.unwrap_or(self.at.before.count.saturating_add(1));
        if failures == Backoff::RULE.free || failures == HARD_STOP {
            log::warn!("{failures} wrong passwords for one account, the last one from {}", self.from);
        }
    }

    async fn give_back(self) {
        let Reserved { bucket, before, number } = self.at;
        self.app.shared.throttle.accounts.give_back(bucket, before, self.app.clock().now());
        if let (Some(live), Some(number)) = (&self.app.live, number)
            && let Err(error) = live.give_back(&bucket, number).await
        {
            log::debug!("an attempt stays counted: {error}");
        }
        self.app.uncount(&self.networks).await;
    }
}

/// Claims the next attempt in Redis: its number, or why it may not be made.
async fn claim(live: &Live, bucket: &BucketId, now: Timestamp) -> Result<Result<u32, Permit>, LiveError> {
    let mut tally = Tally::default();
    for _ in 0..CLAIMS {
        tally = live.tally(bucket).await?;
        match Backoff::RULE.judge(tally, now) {
            Permit::Go => {}
            refusal => return Ok(Err(refusal)),
        }
        let number = tally.count.saturating_add(1);
        if live.claim(bucket, number, now, memory(number)).await? {
            return Ok(Ok(number));
        }
    }
    let wait = Backoff::RULE.delay(tally.count.saturating_add(1)).max(Duration::from_secs(1));
    Ok(Err(Permit::Wait(wait)))
}
