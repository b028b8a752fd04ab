//! Statement: the text of an SQL statement that is built in parts, and its values.
//!
//! Owns only these two and their display. [`super`] decides the content.

use std::fmt;

/// A value in a statement.
#[derive(Clone, Debug)]
pub(super) enum Bind {
    Text(String),
    Number(i64),
    Bytes(Vec<u8>),
}

/// A statement with its values. Its display has the values in the text.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    pub(super) text: String,
    pub(super) binds: Vec<Bind>,
}

/// With the values in the text; bytes in SQLite's notation.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.text.clone();
        for (position, bind) in self.binds.iter().enumerate().rev() {
            let value = match bind {
                Bind::Text(value) => format!("'{}'", value.replace('\'', "''")),
                Bind::Number(value) => value.to_string(),
                Bind::Bytes(value) => {
                    let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
                    format!("x'{digits}'")
                }
            };
            text = text.replace(&format!("${}", position + 1), &value);
        }
        f.write_str(&text)
    }
}
