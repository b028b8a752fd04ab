//! Where the people of a test sign in: here, or at an application that has its sessions here. The promises are the same.

use crate::support::client::SignedIn;
use crate::support::ports::random;
use crate::support::service::Service;
use crate::support::settings::Settings;

/// Where people sign in.
#[derive(Clone, Copy)]
pub enum Origin {
    /// Here, with a password.
    Here,
    /// At an application, which asks for a session of theirs.
    Issued,
}

/// People of one origin.
pub enum People {
    Here,
    Issued(Service),
}

impl People {
    /// People of this origin at the server with these settings and this base URL.
    pub fn of(origin: Origin, settings: &Settings, base: &str) -> Self {
        match origin {
            Origin::Here => Self::Here,
            Origin::Issued => Self::Issued(Service::add(settings, base, "shop", "issue")),
        }
    }

    /// Somebody new, signed in at the server with this base URL.
    pub async fn somebody(&self, base: &str) -> SignedIn {
        match self {
            Self::Here => crate::support::client::Anonymous::at(base).sign_up().await,
            Self::Issued(shop) => {
                let subject = format!("user-{:016x}", random());
                SignedIn::issued(base, &subject, &shop.session_of(&subject).await)
            }
        }
    }

    /// The same person on another device: a second session.
    pub async fn again(&self, person: &SignedIn, base: &str) -> SignedIn {
        match self {
            Self::Here => person.sign_in_again().await,
            Self::Issued(shop) => SignedIn::issued(base, &person.email, &shop.session_of(&person.email).await),
        }
    }
}

/// Runs each test for people of both origins.
macro_rules! for_both_origins {
    ($($(#[$attribute:meta])* async fn $name:ident($origin:ident: Origin) $body:block)+) => {$(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "a body may need nothing from around it")]
            use super::*;
            use $crate::promises::origin::Origin;

            async fn body($origin: Origin) $body

            #[tokio::test]
            async fn signed_in_here() {
                body(Origin::Here).await;
            }

            #[tokio::test]
            async fn issued_to_an_application() {
                body(Origin::Issued).await;
            }
        }
    )+};
}
pub(crate) use for_both_origins;
