//! The users of the shop, before and after: that is what stays as it is. A real application has a table, and a hash.

use std::env;

use serde::Deserialize;

/// A user.
pub struct User {
    /// An id that never changes.
    pub id: &'static str,
    /// The address.
    pub email: &'static str,
    /// The name.
    pub name: &'static str,
}

const ANA: User = User { id: "shop-1", email: "ana@example.org", name: "Ana Silva" };

/// The form.
#[derive(Deserialize)]
pub struct SignIn {
    email: String,
    password: String,
}

/// The user who has sent this form, if the password is right.
pub fn verified(form: &SignIn) -> Option<User> {
    (form.email == ANA.email && env::var("ANAS_PASSWORD").is_ok_and(|right| right == form.password)).then_some(ANA)
}

/// The user with this id.
pub fn with_id(id: &str) -> Option<User> {
    (id == ANA.id).then_some(ANA)
}
