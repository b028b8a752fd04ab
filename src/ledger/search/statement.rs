//! A statement that is put together: its text, and the values that go with it.
//!
//! Owns nothing but the two, and how they are shown. What a statement says, [`super`] knows.

use std::fmt;

/// A value in a statement.
#[derive(Clone, Debug)]
pub(super) enum Bind {
    Text(String),
    Number(i64),
    Bytes(Vec<u8>),
}

/// A statement with its values. It is shown with the values written into it.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    pub(super) text: String,
    pub(super) binds: Vec<Bind>,
}

/// With its values written into it; bytes as SQLite writes them.
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
