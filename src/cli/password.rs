//! Asks for a password.
//!
//! Owns the prompt. Must never take a password from an argument, where every user of the machine could read it, and
//! never show it.

use std::io::{self, BufRead, IsTerminal};

use zeroize::Zeroizing;

use crate::domain::Password;
use crate::domain::password::WeakPassword;

use super::failure::Failure;

/// Longer than any accepted password, in bytes.
const MAX_LINE: u64 = 4_096;

/// Asks twice on the terminal without echo; without a terminal, reads the first line of standard input. `check` reports
/// what is wrong with a password.
pub fn ask(check: impl Fn(&Password) -> Result<(), WeakPassword>) -> Result<Password, Failure> {
    if io::stdin().is_terminal() {
        ask_twice(check, |prompt| rpassword::prompt_password(prompt))
    } else {
        read_line(io::stdin().lock())
    }
}

fn ask_twice(
    check: impl Fn(&Password) -> Result<(), WeakPassword>,
    mut prompt: impl FnMut(&str) -> io::Result<String>,
) -> Result<Password, Failure> {
    let first = Password::new(prompt("Password: ")?);
    // Reported before the second prompt, so that no refused password is typed twice.
    check(&first).map_err(|weak| Failure::failed(weak.0))?;
    let second = Password::new(prompt("Repeat the password: ")?);
    if first == second { Ok(first) } else { Err(Failure::failed("The passwords do not match.")) }
}

fn read_line(input: impl BufRead) -> Result<Password, Failure> {
    let mut line = Zeroizing::new(String::with_capacity(256));
    input.take(MAX_LINE).read_line(&mut line).map_err(|_| Failure::failed("Standard input is not valid UTF-8."))?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::failed(
            "Standard input is empty: give the password as its first line, or run this on a terminal.",
        ));
    }
    Ok(Password::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PasswordRules;

    fn asked(answers: [&str; 2]) -> Result<Password, Failure> {
        let mut answers = answers.into_iter();
        let rules = PasswordRules::new(8, []);
        ask_twice(|password| rules.check(password, &[]), |_| Ok(answers.next().unwrap().to_owned()))
    }

    #[test]
    fn a_terminal_is_asked_twice() {
        let good = "correct horse battery";
        assert_eq!(asked([good; 2]), Ok(Password::new(good.to_owned())));
        assert_eq!(asked([good, "correct hose battery"]), Err(Failure::failed("The passwords do not match.")));
        assert_eq!(asked(["short", ""]), Err(Failure::failed("Choose a password of at least 8 characters.")));
    }

    #[test]
    fn the_first_line_of_standard_input_is_the_password() {
        for input in ["correct horse", "correct horse\n", "correct horse\r\nmore"] {
            assert_eq!(read_line(input.as_bytes()), Ok(Password::new("correct horse".to_owned())), "{input:?}");
        }
        assert_eq!(read_line(" a b \n".as_bytes()), Ok(Password::new(" a b ".to_owned())));
        assert!(read_line("".as_bytes()).is_err() && read_line(&b"\xff\n"[..]).is_err());
    }
}
