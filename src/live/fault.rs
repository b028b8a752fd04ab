//! Fault: what an error of Redis means for the caller, and for its connection.
//!
//! Owns both meanings. Must never pass on a client's text: a quote from Redis ends where Redis begins to quote.

use redis::{ErrorKind, RedisError};

use super::LiveError;

/// After these, the connection no longer talks to the process that was enrolled.
const FATAL: [&str; 6] = ["READONLY", "MOVED", "LOADING", "NOREPLICAS", "MASTERDOWN", "NOAUTH"];

/// An error, and whether its connection must be dropped.
pub(super) struct Fault {
    pub(super) error: LiveError,
    pub(super) fatal: bool,
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self { error: LiveError::Timeout, fatal: true };
        }
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Self { error: LiveError::Refused("WRONGPASS".to_owned()), fatal: true };
        }
        match code(&error) {
            Some(code) => Self { fatal: FATAL.contains(&code.as_str()), error: LiveError::Refused(code) },
            None => Self { error: LiveError::Down(error.to_string()), fatal: true },
        }
    }
}

/// The error code from Redis; none when the error is not an answer of Redis. `ERR` alone says nothing, so the first
/// words come with it.
fn code(error: &RedisError) -> Option<String> {
    // A pipeline's error has no code of its own: its first error counts.
    let errors = error.clone().into_server_errors()?;
    let (_, first) = errors.first()?;
    let words = first.details().filter(|_| first.code() == "ERR").and_then(|text| text.split(['\'', '`', ',']).next());
    Some(words.map_or_else(|| first.code().to_owned(), |words| format!("ERR {}", words.trim())))
}

/// Redis gave an answer that does not fit the command: the connection is out of step.
pub(super) fn out_of_step() -> Fault {
    Fault { error: LiveError::Down("Redis gave an answer that does not fit the question".to_owned()), fatal: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(answer: &str) -> (String, bool) {
        let value = redis::parse_redis_value(answer.as_bytes()).unwrap();
        let fault = Fault::from(value.extract_error().unwrap_err());
        (fault.error.to_string(), fault.fatal)
    }

    #[test]
    fn a_refusal_keeps_its_code_and_the_connection() {
        for code in ["OOM", "MISCONF", "NOPERM", "BUSY", "CLUSTERDOWN"] {
            assert_eq!(fault(&format!("-{code} what it means\r\n")), (format!("Redis refused ({code})"), false));
        }
    }

    #[test]
    fn a_process_that_may_not_speak_loses_the_connection() {
        for code in FATAL {
            assert_eq!(fault(&format!("-{code} what it means\r\n")), (format!("Redis refused ({code})"), true));
        }
    }

    #[test]
    fn what_a_client_sent_is_not_repeated() {
        let answer = "-ERR unknown command 'GETEX', with args beginning with: 'session:abc'\r\n";
        assert_eq!(fault(answer).0, "Redis refused (ERR unknown command)");
    }

    #[test]
    fn a_lost_connection_is_down_and_a_late_answer_a_timeout() {
        let io = |kind| Fault::from(RedisError::from(std::io::Error::from(kind)));
        assert!(matches!(io(std::io::ErrorKind::BrokenPipe), Fault { error: LiveError::Down(_), fatal: true }));
        assert!(matches!(io(std::io::ErrorKind::TimedOut), Fault { error: LiveError::Timeout, fatal: true }));
    }
}
