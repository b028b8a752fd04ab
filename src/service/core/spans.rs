//! Spans: counters that end with their span of time, for an address with the networks around it, and for an account.
//!
//! Owns the counts of wrong passwords and registrations of an address, and of right passwords and newly chosen ones of
//! an account. Must never fail: when Redis does not answer, this node counts alone.

use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::throttle::{Counts, DAY, Permit, TEN_MINUTES, Window, networks};
use crate::domain::{BucketId, Client};
use crate::service::core::Core;
use crate::service::core::local_attempts::LocalAttempts;
use crate::service::core::throttled::{Throttled, ThrottledBy};

/// While a node does not know the others' counts, it allows one part in this many of an address' limit.
const ALONE_SHARE: u32 = 4;

/// One counter, for the length of its span.
#[derive(Clone, Copy)]
pub(in crate::service) struct Span {
    bucket: BucketId,
    limit: u32,
    /// The rule for one address, or for the account: the one that a refusal reports.
    window: Window,
    by: ThrottledBy,
}

/// A counted attempt.
pub(in crate::service) struct Counted {
    bucket: BucketId,
    length: Duration,
    in_redis: bool,
}

impl Core {
    /// The counters for this address and for the networks around it.
    pub(in crate::service) fn spans_of_address(&self, client: &Client, what: Counts) -> Vec<Span> {
        let (throttle, now) = (&self.throttle, self.clock().now());
        let limit = self.policy.sign_in_address_limit.saturating_mul(what.share_of_address());
        let window = Window { limit, length: TEN_MINUTES };
        let spans = networks(client.ip).into_iter().map(|network| Span {
            bucket: throttle.key.network(&network, what, window.number(now)),
            limit: limit.saturating_mul(network.share),
            window,
            by: ThrottledBy::Address,
        });
        spans.collect()
    }

    /// The counters for an account, a session or a device.
    pub(in crate::service) fn spans_of(&self, whose: &str, what: Counts) -> Vec<Span> {
        let (throttle, now) = (&self.throttle, self.clock().now());
        let spans = what.of_account().iter().map(|&window| Span {
            bucket: throttle.key.span(whose, what, window, window.number(now)),
            limit: window.limit,
            window,
            by: ThrottledBy::Account,
        });
        spans.collect()
    }

    /// Counts in all spans, or in none.
    pub(in crate::service) async fn count_in(&self, spans: &[Span]) -> Result<Vec<Counted>, Throttled> {
        let mut counted = Vec::new();
        for span in spans {
            match self.count_one(span).await {
                Ok(one) => counted.push(one),
                Err(throttled) => {
                    self.uncount(&counted).await;
                    return Err(throttled);
                }
            }
        }
        Ok(counted)
    }

    async fn count_one(&self, span: &Span) -> Result<Counted, Throttled> {
        let (table, now, Span { bucket, limit, window, .. }) = (self.table(span.window), self.clock().now(), *span);
        if !table.count(bucket, limit, now) {
            return Err(self.refusal(span));
        }
        let counted = |in_redis| Counted { bucket, length: window.length, in_redis };
        let Some(live) = &self.live else { return Ok(counted(false)) };
        match live.count(&bucket, 1, window.length).await {
            Ok(count) if count <= i64::from(limit) => Ok(counted(true)),
            Ok(_) => {
                self.uncount(&[counted(true)]).await;
                Err(self.refusal(span))
            }
            Err(error) => {
                self.throttle.goes_alone(&error);
                table.uncount(bucket, now);
                let fits = table.count(bucket, limit.div_ceil(ALONE_SHARE), now);
                fits.then(|| counted(false)).ok_or_else(|| self.refusal(span))
            }
        }
    }

    /// Fails if one span is used up: called before a hash is computed for an attempt that counts when it is done.
    pub(in crate::service) async fn require_left(&self, spans: &[Span]) -> Result<(), Throttled> {
        let used_up = join_all(spans.iter().map(|span| self.is_used_up(span))).await;
        match spans.iter().zip(used_up).find(|(_, used_up)| *used_up) {
            Some((span, _)) => Err(self.refusal(span)),
            None => Ok(()),
        }
    }

    async fn is_used_up(&self, span: &Span) -> bool {
        if self.table(span.window).counted(span.bucket, self.clock().now()) >= span.limit {
            return true;
        }
        let Some(live) = &self.live else { return false };
        let counted = live.counted(&span.bucket).await;
        counted.inspect_err(|error| self.throttle.goes_alone(error)).is_ok_and(|it| it >= i64::from(span.limit))
    }

    /// Counts a finished attempt, also beyond the limit: several may be admitted at the same time.
    pub(in crate::service) async fn count_done(&self, spans: &[Span]) {
        for span in spans {
            self.table(span.window).count(span.bucket, u32::MAX, self.clock().now());
            if let Some(live) = &self.live
                && let Err(error) = live.count(&span.bucket, 1, span.window.length).await
            {
                self.throttle.goes_alone(&error);
            }
        }
    }

    /// Takes counted attempts back.
    pub(in crate::service) async fn uncount(&self, all: &[Counted]) {
        for counted in all {
            let window = Window { limit: 0, length: counted.length };
            self.table(window).uncount(counted.bucket, self.clock().now());
            if let (Some(live), true) = (&self.live, counted.in_redis)
                && let Err(error) = live.count(&counted.bucket, -1, counted.length).await
            {
                log::debug!("an attempt stays counted: {error}");
            }
        }
    }

    fn table(&self, window: Window) -> &LocalAttempts {
        let throttle = &self.throttle;
        if window.length >= DAY { &throttle.days } else { &throttle.spans }
    }

    /// For every network, the refusal reports the rule for one address. For an account, it reports the same as for an
    /// account under attack, whether or not that exists.
    fn refusal(&self, span: &Span) -> Throttled {
        let now = self.clock().now();
        match span.by {
            ThrottledBy::Address => Throttled::address(span.window, now),
            ThrottledBy::Account => Throttled::account(Permit::Wait(span.window.rest(now))),
        }
    }
}
