//! A password as it arrives.
//!
//! Owns the refusal of an overlong one, before any look-up or hashing. It does not judge whether a new password is good
//! enough.

use super::problem::Problem;
use crate::domain::Password;
use crate::domain::password::MAX_CHARS;

/// The password typed into a field.
pub fn typed(field: &'static str, text: String) -> Result<Password, Problem> {
    let password = Password::new(text);
    if password.is_too_long() {
        return Err(Problem::invalid_field(field, format!("A password has at most {MAX_CHARS} characters.")));
    }
    Ok(password)
}
