//! Chance: the one way this crate gets unpredictable bytes.
//!
//! Owns [`Random`]. No other file may ask the operating system's generator, so that a test can see that
//! nothing is drawn twice and nothing is drawn from anywhere else.

/// A source of bytes that nobody can guess.
pub trait Random: Send + Sync {
    /// Fills the whole of `buffer`.
    fn fill(&self, buffer: &mut [u8]);
}

/// Draws `N` bytes.
pub fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut buffer = [0; N];
    random.fill(&mut buffer);
    buffer
}

/// The operating system's generator (`getrandom(2)` on Linux).
#[derive(Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system's generator")]
    fn fill(&self, buffer: &mut [u8]) {
        // A generator that fails leaves nothing that could safely go on: a guessable token is worse than an abort.
        if let Err(error) = getrandom::fill(buffer) {
            log::error!("the operating system's random generator failed: {error}");
            std::process::abort();
        }
    }
}
