//! Authenticate: is this token a live session's? The hot path.
//!
//! Owns the question that every request asks. A trusted record answers yes with one Redis command and no SQL;
//! everything else goes to the ledger ([`super::fill`]). Must never answer no on Redis' word, and never yes on the word
//! of a store that may have forgotten.

use std::net::IpAddr;

use crate::domain::{Timestamp, Token, TokenHash};
use crate::live::{Doubt, Seen, SeenRecord};
use crate::service::check::Check;
use crate::service::core::checked::{Activity, Checked};
use crate::service::core::unavailable::Unavailable;
use crate::service::near_cache::copies::CopyKey;

impl Check {
    /// The key of a cookie's copy; none when this node keeps none. `cookie` is the decoded value with its signature.
    pub fn copy_key(&self, cookie: &[u8]) -> Option<CopyKey> {
        self.near_cache.key(cookie)
    }

    /// The answer of a copy; none when the question has to go on.
    pub fn recall(&self, key: CopyKey, from: Option<IpAddr>) -> Option<Checked> {
        self.near_cache.recall(key, from)
    }

    /// Looks up a token for a client at this address (none: the one of the last use), first among the copies. None: no live session has it. An error:
    /// the answer is unknown.
    pub async fn authenticate(
        &self,
        token: &Token,
        from: impl Into<Option<IpAddr>>,
        activity: Activity,
    ) -> Result<Option<Checked>, Unavailable> {
        let from = from.into();
        let key = self.near_cache.key(token.as_bytes());
        match key.and_then(|key| self.recall(key, from)) {
            Some(checked) => Ok(Some(checked)),
            None => self.look_up(token, key, from, activity).await,
        }
    }

    /// Like [`Check::authenticate`], after the copies were asked. A record that says yes is kept under the key, if any.
    pub async fn look_up(
        &self,
        token: &Token,
        key: Option<CopyKey>,
        from: Option<IpAddr>,
        activity: Activity,
    ) -> Result<Option<Checked>, Unavailable> {
        let token_hash = token.hash();
        let begun = self.near_cache.begin(key, &token_hash);
        let now = self.core.clock().now();
        let doubt = match self.read_record(&token_hash, now).await {
            Reading::Yes(seen) => {
                let checked = Checked::of_record(&seen.record, token_hash, now);
                if let Some(begun) = begun {
                    self.near_cache.keep(begun, &seen, &checked, (from, activity, now));
                }
                self.touch_if_due(&checked, Some(seen), from, activity, now);
                return Ok(Some(checked));
            }
            Reading::Doubt(doubt) => Some(doubt),
            Reading::NoRedis => None,
        };
        match Box::pin(self.fill(token_hash, doubt, (from, activity))).await {
            Ok(found) => {
                if let Some(checked) = &found {
                    self.touch_if_due(checked, None, from, activity, now);
                }
                Ok(found)
            }
            Err(unavailable) => {
                // Redis may only have been late: the connection is replaced by now.
                let now = self.core.clock().now();
                match self.read_record(&token_hash, now).await {
                    Reading::Yes(seen) => {
                        let checked = Checked::of_record(&seen.record, token_hash, now);
                        self.touch_if_due(&checked, Some(seen), from, activity, now);
                        Ok(Some(checked))
                    }
                    Reading::Doubt(_) | Reading::NoRedis => Err(unavailable),
                }
            }
        }
    }

    async fn read_record(&self, token_hash: &TokenHash, now: Timestamp) -> Reading {
        let Some(live) = &self.core.live else { return Reading::NoRedis };
        match live.read(token_hash, now).await {
            Ok(Seen::Record(seen)) => Reading::Yes(seen),
            Ok(Seen::Doubt(doubt)) => Reading::Doubt(doubt),
            Err(error) => {
                log::debug!("Redis does not answer, the ledger will: {error}");
                Reading::NoRedis
            }
        }
    }

    /// Records a use of the session, outside the request's latency.
    fn touch_if_due(
        &self,
        checked: &Checked,
        seen: Option<SeenRecord>,
        from: Option<IpAddr>,
        activity: Activity,
        now: Timestamp,
    ) {
        let configured = self.core.policy.last_seen_resolution;
        if let Some(used_at) = checked.use_to_write(activity, now, from, configured) {
            self.touch(checked, seen, used_at, now, from.unwrap_or(checked.ip));
        }
    }
}

enum Reading {
    Yes(SeenRecord),
    Doubt(Doubt),
    NoRedis,
}
