//! Names to show: what a user may be called.
//!
//! Owns the rules. A name is for people only: nothing compares it, and nothing is found by it alone.

use super::email::{is_invisible, turns_text};

/// Longest name.
const MAX_CHARS: usize = 100;

/// A name as it is stored: trimmed; none when nothing is left. The error says what is wrong with the name.
pub fn tidy(name: &str) -> Result<Option<String>, String> {
    let name = name.trim();
    if name.chars().count() > MAX_CHARS {
        return Err(format!("A name has at most {MAX_CHARS} characters."));
    }
    if name.chars().any(char::is_control) {
        return Err("A name cannot contain control characters.".to_owned());
    }
    if name.chars().any(turns_text) {
        return Err("A name cannot contain characters that reverse text.".to_owned());
    }
    if !name.is_empty() && name.chars().all(|c| is_invisible(c) || c.is_whitespace()) {
        return Err("A name needs at least one visible character.".to_owned());
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(tidy("  Ana  "), Ok(Some("Ana".to_owned())));
        assert_eq!(tidy("   "), Ok(None));
        assert!(tidy("a\0b").is_err());
        assert!(tidy("\u{200b} \u{202e}").is_err());
        for turning in ["Ana\u{202e}nimda", "\u{2067}Ana", "Ana\u{61c}", "A\u{200f}"] {
            assert!(tidy(turning).is_err(), "{turning:?}");
        }
        assert!(tidy("\u{646}\u{627}\u{645}\u{647}\u{200c}\u{627}\u{6cc}").is_ok(), "a word with a break in it");
        assert!(tidy("\u{1f468}\u{200d}\u{1f469}").is_ok(), "joined pictures are seen");
        assert!(tidy(&"x".repeat(101)).is_err());
    }
}
