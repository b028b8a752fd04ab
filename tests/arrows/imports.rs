//! The paths that one file names, made absolute.
//!
//! Owns the reading of `use` trees and of paths in the middle of code. Must never judge them.

use super::tokens::{Token, tokens};

/// A path as it was written, from the crate root (`crate`) or from a foreign crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `["crate", "domain", "Token"]`, `["redis", "Client"]`; `*` for a glob.
    pub path: Vec<String>,
    /// The name that a re-export (`pub use`) gives it.
    pub exported: Option<String>,
}

/// All paths of a file whose module path is `module` (`["domain", "token"]`).
pub fn imports(source: &str, module: &[String]) -> Vec<Import> {
    let tokens = tokens(source);
    let mut reader = Reader { tokens: &tokens, at: 0, module: module.to_vec(), inline: Vec::new(), found: Vec::new() };
    reader.read();
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The module that the code at this place is in.
    module: Vec<String>,
    /// For each open brace, whether it opened an inline module.
    inline: Vec<bool>,
    found: Vec<Import>,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(token) = self.peek(0).cloned() {
            match token {
                Token::Word(word) if word == "use" => self.read_use(),
                Token::Word(word) if word == "mod" && self.peek(2) == Some(&Token::Open) => self.enter_module(),
                Token::Word(word) if self.is_path_head() => self.read_path(word),
                Token::Open => self.open(false),
                Token::Close => self.close(),
                _ => self.at += 1,
            }
        }
    }

    fn read_use(&mut self) {
        let exported = self.is_public();
        self.at += 1;
        // A leading `::` names a foreign crate.
        if self.peek(0) == Some(&Token::Colons) {
            self.at += 1;
        }
        self.read_tree(&[], exported);
    }

    /// One branch of a `use` tree: `a::b as c`, `a::*`, `a::{…}`.
    fn read_tree(&mut self, stem: &[String], exported: bool) {
        let mut path = stem.to_vec();
        loop {
            match self.peek(0).cloned() {
                Some(Token::Word(word)) if word == "as" => return self.read_alias(&path, exported),
                Some(Token::Word(word)) => path.push(word),
                Some(Token::Star) => path.push("*".to_owned()),
                Some(Token::Colons) => {}
                Some(Token::Open) => return self.read_group(&path, exported),
                _ => break,
            }
            self.at += 1;
        }
        let name = last_name(&path);
        self.push(&path, exported.then_some(name));
    }

    fn read_alias(&mut self, path: &[String], exported: bool) {
        let alias = match self.peek(1) {
            Some(Token::Word(alias)) => alias.clone(),
            _ => String::new(),
        };
        self.at += 2;
        self.push(path, exported.then_some(alias));
    }

    fn read_group(&mut self, stem: &[String], exported: bool) {
        self.at += 1;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Close => break,
                Token::Comma => self.at += 1,
                Token::Word(_) | Token::Star | Token::Open | Token::Colons => self.read_tree(stem, exported),
                _ => self.at += 1,
            }
        }
        self.at += 1;
    }

    /// A path in the middle of code: `crate::domain::Token::parse`.
    fn read_path(&mut self, head: String) {
        let mut path = vec![head];
        self.at += 1;
        while let (Some(Token::Colons), Some(Token::Word(word))) = (self.peek(0), self.peek(1)) {
            path.push(word.clone());
            self.at += 2;
        }
        self.push(&path, None);
    }

    fn is_path_head(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.tokens.get(at));
        let continues = match before(1) {
            // `::redis::cmd` starts a path, `a::redis::cmd` does not.
            Some(Token::Colons) => matches!(before(2), Some(Token::Word(_))),
            other => other == Some(&Token::Dot),
        };
        self.peek(1) == Some(&Token::Colons) && !continues
    }

    /// True for `pub use` and `pub(crate) use`.
    fn is_public(&self) -> bool {
        let before = self.tokens.get(..self.at).unwrap_or_default().iter().rev();
        let statement: Vec<&Token> =
            before.take_while(|token| !matches!(token, Token::Semicolon | Token::Open | Token::Close)).collect();
        statement.first().is_some_and(|token| {
            **token == Token::Word("pub".to_owned())
                || (**token == Token::Other && statement.contains(&&Token::Word("pub".to_owned())))
        })
    }

    fn enter_module(&mut self) {
        if let Some(Token::Word(name)) = self.peek(1) {
            self.module.push(name.clone());
        }
        self.at += 2;
        self.open(true);
    }

    fn open(&mut self, inline: bool) {
        self.inline.push(inline);
        self.at += 1;
    }

    fn close(&mut self) {
        if self.inline.pop() == Some(true) {
            self.module.pop();
        }
        self.at += 1;
    }

    fn push(&mut self, path: &[String], exported: Option<String>) {
        if let Some(path) = self.absolute(path) {
            // What an inline module exports belongs to nobody else.
            let exported = exported.filter(|_| !self.inline.contains(&true));
            self.found.push(Import { path, exported });
        }
    }

    /// `super::x` and `self::x` from the crate root; none for what is no path to a module (`Self::new`).
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = self.module.clone();
        let mut rest = path;
        let mut relative = false;
        while let Some((head, tail)) = rest.split_first() {
            match head.as_str() {
                "super" => drop(base.pop()),
                "self" => {}
                _ => break,
            }
            (rest, relative) = (tail, true);
        }
        if relative {
            let root = std::iter::once("crate".to_owned());
            return Some(root.chain(base).chain(rest.iter().cloned()).collect());
        }
        rest.first().is_some_and(|head| head != "Self").then(|| rest.to_vec())
    }

    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }
}

/// `a::b` is known as `b`, and `a::{self}` as `a`.
fn last_name(path: &[String]) -> String {
    path.iter().rev().find(|name| *name != "self").cloned().unwrap_or_default()
}
