//! The answer to too many attempts: 429, and when to retry.
//!
//! Owns the spelling of the RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10), which are structured fields.
//! Must never tell more than the amount and the time: the same for existing and unknown accounts.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};

use super::problem::Problem;
use crate::service::Throttled;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const WAIT: &str = "Too many attempts. Wait a while before you try again.";
const STOPPED: &str = "Too many attempts. Sign in on a device that you have used before, or set a new password.";

impl From<Throttled> for Problem {
    fn from(throttled: Throttled) -> Self {
        let Throttled { quota, retry_after, stopped } = throttled;
        let seconds = whole_seconds(retry_after);
        let policy = format!("\"{}\";q={};w={}", quota.name, quota.limit, quota.window.as_secs());
        let limit = format!("\"{}\";r=0;t={seconds}", quota.name);
        let mut problem = Self::too_many_attempts(if stopped { STOPPED } else { WAIT });
        for (name, value) in [(RETRY_AFTER, seconds.to_string()), (RATE_LIMIT_POLICY, policy), (RATE_LIMIT, limit)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                problem = problem.with_header(name, value);
            }
        }
        problem
    }
}

/// Whole seconds, rounded up.
fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;

    use super::*;
    use crate::service::Quota;

    #[test]
    fn h_15_the_fields_tell_how_much_and_how_long_and_retry_after_is_never_earlier() {
        for (wait, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (3_600_000, 3_600)] {
            let quota = Quota { name: "account", limit: 5, window: Duration::from_secs(3_600) };
            let throttled = Throttled { quota, retry_after: Duration::from_millis(wait), stopped: false };
            let response = Problem::from(throttled).error_response();
            assert_eq!(response.status(), 429);
            let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
            assert_eq!(header("retry-after"), seconds.to_string());
            assert_eq!(header("ratelimit-policy"), "\"account\";q=5;w=3600");
            assert_eq!(header("ratelimit"), format!("\"account\";r=0;t={seconds}"));
        }
    }
}
