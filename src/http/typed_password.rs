//! A password as it arrives.
//!
//! Owns the refusal of one that is longer than any can be, before anything is looked up or hashed for it. Whether a new
//! one will do is not judged here.

use super::problem::Problem;
use crate::domain::Password;
use crate::domain::password::MAX_CHARS;

/// The password that was typed into a field.
pub fn typed(field: &'static str, text: String) -> Result<Password, Problem> {
    let password = Password::new(text);
    if password.is_too_long() {
        return Err(Problem::invalid_field(field, format!("A password has at most {MAX_CHARS} characters.")));
    }
    Ok(password)
}
