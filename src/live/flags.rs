//! Flags: the field of a record that holds three values: data, device, proof.
//!
//! Owns its one spelling. They share a field because a separate one costs a byte more, and a record has none to spare:
//!
//! ```text
//! <- or d: has data> <device: two letters> <proof: nothing, !, or seconds in base 36, after a - if before>
//! ```
//!
//! The proof is when the owner last proved their identity: nothing for the session's creation time, else the seconds
//! after it (rounded down, so that it never looks younger), `!` when it no longer counts. A session that was created
//! under a clock that was ahead has a proof from before: a `-`, and the seconds before (rounded up).

use std::time::Duration;

use crate::domain::{DeviceMark, Timestamp};

/// The content of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) has_data: bool,
    pub(super) device: DeviceMark,
    pub(super) proven_at: Option<Timestamp>,
}

impl Flags {
    /// Parses the field of a session that was created at this time; none for any other spelling.
    pub(super) fn parse(field: &[u8], made_at: Timestamp) -> Option<Self> {
        let [flag, browser, system, proof @ ..] = field else { return None };
        let has_data = match flag {
            b'-' => false,
            b'd' => true,
            _ => return None,
        };
        let proven_at = match proof {
            b"" => Some(made_at),
            b"!" => None,
            [b'-', seconds @ ..] => Some(made_at.minus(Duration::from_secs(base_36(seconds).filter(|it| *it > 0)?))),
            seconds => Some(made_at.plus(Duration::from_secs(base_36(seconds)?))),
        };
        Some(Self { has_data, device: DeviceMark::from_bytes([*browser, *system])?, proven_at })
    }

    /// Formats its one spelling.
    pub(super) fn to_text(self, made_at: Timestamp) -> String {
        let flag = if self.has_data { 'd' } else { '-' };
        let mut text = format!("{flag}{}", self.device);
        let Some(at) = self.proven_at else { return text + "!" };
        let (after, before) = (at.since(made_at).as_secs(), made_at.since(at).as_millis().div_ceil(1_000));
        match u32::try_from(before) {
            // The largest number that fits would look younger than the proof is.
            Err(_) => text.push('!'),
            Ok(0) if after == 0 => {}
            Ok(0) => text.push_str(&in_base_36(after)),
            Ok(before) => {
                text.push('-');
                text.push_str(&in_base_36(before.into()));
            }
        }
        text
    }
}

fn base_36(digits: &[u8]) -> Option<u64> {
    let canonical = !digits.starts_with(b"0") && digits.iter().all(|it| it.is_ascii_digit() || it.is_ascii_lowercase());
    let text = std::str::from_utf8(digits).ok()?;
    // The limit is longer than any session lasts, so that a sum with it stays valid.
    let number = u64::from_str_radix(text, 36).ok().filter(|seconds| *seconds <= u64::from(u32::MAX));
    number.filter(|_| canonical)
}

fn in_base_36(number: u64) -> String {
    let mut digits = Vec::new();
    let mut rest = number.min(u64::from(u32::MAX));
    while rest > 0 {
        digits.extend(u32::try_from(rest % 36).ok().and_then(|digit| char::from_digit(digit, 36)));
        rest /= 36;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE_AT: Timestamp = Timestamp::from_ms(1_795_331_082_007);

    fn flags(text: &str) -> Option<Flags> {
        Flags::parse(text.as_bytes(), MADE_AT)
    }

    #[test]
    fn each_spelling_means_one_thing_and_is_the_only_one() {
        let after = |seconds| Some(MADE_AT.plus(Duration::from_secs(seconds)));
        let before = |seconds| Some(MADE_AT.minus(Duration::from_secs(seconds)));
        for (text, has_data, proven_at) in [
            ("-CL", false, after(0)),
            ("dCL", true, after(0)),
            ("-CL1", false, after(1)),
            ("-CL10", false, after(36)),
            ("dCLxc0", true, after(43_200)),
            ("-CL!", false, None),
            ("-CL1z141z3", false, after(u64::from(u32::MAX))),
            ("-CL-1", false, before(1)),
            ("dCL-xc0", true, before(43_200)),
            ("-CL-1z141z3", false, before(u64::from(u32::MAX))),
        ] {
            let expected = Flags { has_data, device: DeviceMark::from_bytes(*b"CL").unwrap(), proven_at };
            assert_eq!(flags(text), Some(expected), "{text}");
            assert_eq!(expected.to_text(MADE_AT), text);
        }
        for text in
            ["", "-", "d", "-C", "xCL", "-C L", "-CL0", "-CL01", "-CLA", "-CL+1", "-CL1z141z4", "-CL!!", "-CL1!"]
        {
            assert_eq!(flags(text), None, "{text}");
        }
        for text in ["-CL-", "-CL-0", "-CL-01", "-CL--1", "-CL-A", "-CL-!", "-CL-1z141z4"] {
            assert_eq!(flags(text), None, "{text}");
        }
    }

    #[test]
    fn a_proof_never_looks_younger_than_it_is() {
        let device = DeviceMark::UNKNOWN;
        let text = |ms: i64| {
            let proven_at = Some(Timestamp::from_ms(MADE_AT.ms() + ms));
            Flags { has_data: false, device, proven_at }.to_text(MADE_AT)
        };
        for (ms, spelled) in
            [(0, "---"), (999, "---"), (1_000, "---1"), (1_999, "---1"), (-5, "----1"), (-1_001, "----2")]
        {
            assert_eq!(text(ms), spelled, "{ms}");
        }
        assert_eq!(text(-1_000 * (i64::from(u32::MAX) + 1)), "---!");
    }
}
