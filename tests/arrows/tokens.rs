//! Rust source as a row of tokens, without comments, strings and characters.
//!
//! Owns just enough of the lexical grammar to find paths. Must never be taken for a parser.

/// The tokens that paths are made of. Everything else is [`Token::Other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A name or keyword.
    Word(String),
    /// `::`.
    Colons,
    /// `{`.
    Open,
    /// `}`.
    Close,
    /// `,`.
    Comma,
    /// `;`.
    Semicolon,
    /// `*`.
    Star,
    /// `.`, which tells a method from the head of a path.
    Dot,
    /// Any other character.
    Other,
}

/// Reads a whole file.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut rest = source;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, length) = next(rest, first);
        found.extend(token);
        rest = rest.get(length.max(first.len_utf8())..).unwrap_or("");
    }
    found
}

/// The token at the start of `rest` and its length; no token for what is skipped.
fn next(rest: &str, first: char) -> (Option<Token>, usize) {
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if let Some(length) = comment(rest).or_else(|| literal(rest)) {
        return (None, length);
    }
    if first.is_alphanumeric() || first == '_' {
        let length = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        return (Some(Token::Word(rest.get(..length).unwrap_or("").to_owned())), length);
    }
    if rest.starts_with("::") {
        return (Some(Token::Colons), 2);
    }
    (Some(punctuation(first)), first.len_utf8())
}

fn punctuation(letter: char) -> Token {
    match letter {
        '{' => Token::Open,
        '}' => Token::Close,
        ',' => Token::Comma,
        ';' => Token::Semicolon,
        '*' => Token::Star,
        '.' => Token::Dot,
        _ => Token::Other,
    }
}

/// The length of the comment that starts here. Block comments nest.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let mut depth = 0_usize;
    for (at, _) in rest.char_indices() {
        let here = rest.get(at..).unwrap_or("");
        if here.starts_with("/*") {
            depth += 1;
        } else if here.starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return Some(at + 2);
            }
        }
    }
    Some(rest.len())
}

/// The length of the string or character that starts here, with its prefix (`b`, `c`, `r##`).
fn literal(rest: &str) -> Option<usize> {
    let prefix = rest.find(|letter: char| !matches!(letter, 'b' | 'c' | 'r')).filter(|length| *length <= 2)?;
    let body = rest.get(prefix..)?;
    let raw = rest.get(..prefix)?.contains('r');
    let hashes = if raw { body.find(|letter: char| letter != '#')? } else { 0 };
    if body.get(hashes..)?.starts_with('"') {
        let start = prefix + hashes + 1;
        return Some(start + string_end(rest.get(start..)?, raw, hashes));
    }
    let character = body.starts_with('\'') && hashes == 0 && !raw;
    character.then(|| character_length(body).map(|length| prefix + length))?
}

fn string_end(inside: &str, raw: bool, hashes: usize) -> usize {
    let end = format!("\"{}", "#".repeat(hashes));
    let mut escaped = false;
    for (at, letter) in inside.char_indices() {
        if !escaped && inside.get(at..).is_some_and(|here| here.starts_with(&end)) {
            return at + end.len();
        }
        escaped = !raw && letter == '\\' && !escaped;
    }
    inside.len()
}

/// The length of a character; none for a lifetime (`'a` without a second quote).
fn character_length(body: &str) -> Option<usize> {
    let mut letters = body.char_indices().skip(1);
    let (_, first) = letters.next()?;
    if first == '\\' {
        // The escaped character itself may be a quote.
        letters.next()?;
        return letters.find(|(_, letter)| *letter == '\'').map(|(at, _)| at + 1);
    }
    letters.next().filter(|(_, letter)| *letter == '\'').map(|(at, _)| at + 1)
}
