//! Canonical paths: each path has one spelling.
//!
//! The router decodes escapes before it compares, so `/%6cogin` would be `/login` here and another path to a proxy rule
//! in front. Owns which escapes a path may contain. Must never decode anything itself.

/// Whether a path is not canonical: it escapes a character that needs no escape (RFC 3986 §2.3), or a slash.
pub fn is_not(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        let byte = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_none_or(|byte| byte.is_ascii_alphanumeric() || b"-._~/\\".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for path in
            ["/%6cogin", "/%4Cogin", "/login%2f", "/a%2e%2e/b", "/x%5cy", "/x%7e", "/%", "/%zz", "/%4", "/a%20b%41"]
        {
            assert!(is_not(path), "{path}");
        }
        for path in ["/", "/login", "/session/data/a%20b", "/session/data/%C3%A9%25"] {
            assert!(!is_not(path), "{path}");
        }
    }
}
