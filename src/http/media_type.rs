//! Media types, as in `Content-Type` (one) and `Accept` (several).
//!
//! Owns their comparison: case-insensitive and without parameters (RFC 9110 §8.3.1). Must never match by prefix.

/// Whether this is the expected type, with or without parameters. Parameters may hold bytes that are not text.
pub fn is_media_type(text: &[u8], expected: &str) -> bool {
    let essence = text.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(expected.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_parameters_do_not_matter_and_everything_else_does() {
        for text in
            [&b"text/html"[..], b"TEXT/HTML", b" Text/Html\t;q=0.9", b"text/html;x=\xff", b"text/html ; a=\"b\""]
        {
            assert!(is_media_type(text, "text/html"), "{}", text.escape_ascii());
        }
        for text in [
            &b""[..],
            b";text/html",
            b"text/htm",
            b"text/html2",
            b"text/ html",
            b"xtext/html",
            b"text/html\xff",
            b"*/*",
        ] {
            assert!(!is_media_type(text, "text/html"), "{}", text.escape_ascii());
        }
    }
}
