//! Randomness: the only source of unpredictable bytes in this crate.
//!
//! Owns [`Random`]. No other file may call the operating system's generator, so that a test can check that no value is
//! drawn twice and that all come from here.

/// A source of unpredictable bytes.
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
        // If the generator fails, nothing can safely continue: a guessable token is worse than an abort.
        if let Err(error) = getrandom::fill(buffer) {
            log::error!("the operating system's random generator failed: {error}");
            std::process::abort();
        }
    }
}
