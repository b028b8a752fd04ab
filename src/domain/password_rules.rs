//! Which new passwords are allowed: long enough, and not among the first guesses.
//!
//! Owns [`PasswordRules`]: the operator's rules and zxcvbn's estimate, with its 30 000 most used passwords, words,
//! names, dates, keyboard rows, and what others may know about this person and this service. Any character is allowed
//! and none is required. Judges new passwords only: a password chosen under other rules still opens its account. Must
//! never run on a thread that others wait for (a judgement takes milliseconds, the first one more), and never put the
//! password into its messages. Sources: OWASP ASVS 5.0 §6.2, NIST SP 800-63B-4 §3.1.1.

use zeroize::Zeroizing;
use zxcvbn::feedback::Warning;
use zxcvbn::zxcvbn;

use super::Password;
use super::password::{MAX_CHARS, MIN_CHARS, WeakPassword};

/// Guesses that a password of eight characters must resist: the number for eight characters without a pattern.
const ENOUGH_GUESSES: u64 = 100_000_000;
/// A longer one must resist more, because zxcvbn gives any three parts that much: a word, a dash and a year.
const ENOUGH_GUESSES_LONGER: u64 = 1_000_000_000;
/// Most characters that are judged: the time grows with the square of the length, and so many characters decide.
const JUDGED_CHARS: usize = 64;
/// Most work for zxcvbn: the square of the length for each way to read the signs that stand for letters. zxcvbn tries
/// every way, and there can be hundreds. Measured with the slowest inputs: some fifteen milliseconds.
const MOST_WORK: usize = 32_768;
/// Signs that zxcvbn reads as letters, by letter.
const STAND_FOR: [&[char]; 12] = [
    &['4', '@'],
    &['8'],
    &['(', '{', '[', '<'],
    &['3'],
    &['6', '9'],
    &['1', '!', '|'],
    &['1', '|', '7'],
    &['0'],
    &['$', '5'],
    &['+', '7'],
    &['%'],
    &['2'],
];
/// Signs that zxcvbn reads as either of two letters: each can double the number of ways.
const AMBIGUOUS: [char; 3] = ['1', '|', '7'];
/// Most words that are looked for.
const MAX_WORDS: usize = 40;
/// A shorter word identifies neither a person nor the service.
const MIN_WORD_CHARS: usize = 3;
/// The product's own name.
const PRODUCT: &str = env!("CARGO_PKG_NAME");

/// The operator's rules for new passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    min_chars: usize,
    words: Vec<String>,
}

impl PasswordRules {
    /// At least `min_chars` characters, and not made of the service's `names`.
    pub fn new<'a>(min_chars: usize, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = vec![PRODUCT.to_owned()];
        names.into_iter().for_each(|name| add_words(&mut words, name));
        Self { min_chars: min_chars.max(MIN_CHARS), words }
    }

    /// The cheap part: whether the length is allowed.
    pub fn check_length(&self, password: &Password) -> Result<(), WeakPassword> {
        let (chars, least) = (password.chars(), self.min_chars);
        if chars < least {
            return Err(WeakPassword(format!("Choose a password of at least {least} characters.")));
        }
        if chars > MAX_CHARS {
            return Err(WeakPassword(format!("Choose a password of at most {MAX_CHARS} characters.")));
        }
        Ok(())
    }

    /// Whether a user may choose it. `personal` is what others may know about that user: address, name.
    pub fn check(&self, password: &Password, personal: &[String]) -> Result<(), WeakPassword> {
        self.check_length(password)?;
        let mut words = self.words.clone();
        personal.iter().for_each(|text| add_words(&mut words, text));
        let known: Vec<&str> = words.iter().map(String::as_str).collect();
        // Only the beginning of a long password: the rest makes it no easier to guess.
        let judged = within_bounds(&password.beginning(JUDGED_CHARS));
        // Words that others may know count for nothing: the rest must be enough.
        let rest = without(&judged, &known);
        let why = match rest.as_ref().map(|rest| weakness(rest, &[])) {
            Some(Err(_)) => OWN_WORDS,
            Some(Ok(())) => return Ok(()),
            None => match weakness(&judged, &known) {
                Err(warning) => reason(warning),
                Ok(()) => return Ok(()),
            },
        };
        Err(WeakPassword(format!("{why} {ADVICE}")))
    }
}

/// Whether a text is easy to guess, and zxcvbn's warning about it.
fn weakness(text: &str, known: &[&str]) -> Result<(), Option<Warning>> {
    let estimate = zxcvbn(text, known);
    let longer = text.chars().count() > MIN_CHARS;
    let enough = if longer { ENOUGH_GUESSES_LONGER } else { ENOUGH_GUESSES };
    if estimate.guesses() >= enough {
        return Ok(());
    }
    Err(estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning))
}

/// The longest beginning that can be judged in bounded time.
fn within_bounds(password: &str) -> Zeroizing<String> {
    let mut length = 0;
    let mut seen: Vec<char> = Vec::new();
    let fits = password.chars().take_while(|c| {
        length += 1;
        if !seen.contains(c) && STAND_FOR.iter().any(|signs| signs.contains(c)) {
            seen.push(*c);
        }
        readings(&seen) * length * length <= MOST_WORK
    });
    Zeroizing::new(fits.collect())
}

/// Most ways to read these signs as letters.
fn readings(seen: &[char]) -> usize {
    let of = |signs: &[char]| signs.iter().filter(|sign| seen.contains(sign)).count().max(1);
    let ways: usize = STAND_FOR.iter().map(|signs| of(signs)).product();
    ways << AMBIGUOUS.iter().filter(|sign| seen.contains(sign)).count()
}

/// The rest of a password without the known words, the longest removed first; `None` if it contains none.
fn without(password: &str, known: &[&str]) -> Option<Zeroizing<String>> {
    let mut rest = Zeroizing::new(password.to_lowercase());
    let before = rest.len();
    let mut longest_first: Vec<_> = known.iter().filter(|word| word.chars().count() > MIN_WORD_CHARS).collect();
    longest_first.sort_by_key(|word| std::cmp::Reverse(word.len()));
    for word in longest_first {
        rest = Zeroizing::new(rest.replace(*word, ""));
    }
    (rest.len() < before).then_some(rest)
}

const OWN_WORDS: &str = "It is made of your name, your address or the name of this service. Attackers try these first.";
const ADVICE: &str = "Choose several unrelated words, or add some to this one.";

fn reason(warning: Option<Warning>) -> &'static str {
    match warning {
        Some(
            Warning::ThisIsATop10Password
            | Warning::ThisIsATop100Password
            | Warning::ThisIsACommonPassword
            | Warning::ThisIsSimilarToACommonlyUsedPassword,
        ) => "It is a common password, or close to one. Attackers try these first.",
        Some(Warning::StraightRowsOfKeysAreEasyToGuess | Warning::ShortKeyboardPatternsAreEasyToGuess) => {
            "Neighbouring keys are easy to guess."
        }
        Some(Warning::RepeatsLikeAaaAreEasyToGuess | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess) => {
            "Repetitions are easy to guess."
        }
        Some(Warning::SequencesLikeAbcAreEasyToGuess) => "Sequences such as abc or 6543 are easy to guess.",
        Some(Warning::RecentYearsAreEasyToGuess | Warning::DatesAreOftenEasyToGuess) => {
            "Years and dates are easy to guess."
        }
        Some(Warning::NamesAndSurnamesByThemselvesAreEasyToGuess | Warning::CommonNamesAndSurnamesAreEasyToGuess) => {
            "Names are easy to guess."
        }
        Some(Warning::AWordByItselfIsEasyToGuess) | None => "It is easy to guess.",
    }
}

/// Adds the words of a text, in lower case, and the whole text.
fn add_words(words: &mut Vec<String>, text: &str) {
    let whole = text.trim().to_lowercase();
    let parts = whole.split(|letter: char| !letter.is_alphanumeric());
    for word in parts.chain([whole.as_str()]) {
        let known = words.iter().any(|other| other == word);
        if words.len() < MAX_WORDS && !known && word.chars().count() >= MIN_WORD_CHARS {
            words.push(word.chars().take(JUDGED_CHARS).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use zxcvbn::matching::patterns::MatchPattern;

    use super::*;

    fn judged(rules: &PasswordRules, text: &str) -> Result<(), String> {
        let personal = ["ana.kovac@uni-example.org".to_owned(), "Ana Kovačević".to_owned()];
        rules.check(&Password::new(text.to_owned()), &personal).map_err(|weak| weak.0)
    }

    fn rules() -> PasswordRules {
        PasswordRules::new(8, ["app.winterberg.example", "localhost"])
    }

    #[test]
    fn any_character_is_welcome_and_none_is_asked_for() {
        for text in [
            "correct horse battery",
            "kovac took the violet tram",
            "four plain words, unlikely",
            "\u{1f980}\u{1f433}\u{1f344}\u{1f3bb}\u{1f9ca}\u{1f6b2}\u{1f319}\u{1f9f5}",
            "pässwörd \u{1f980}\u{7} über",
            "q8\0vz\0m2\0kx",
            "зелёный трамвай поёт",
            "  spaces around it  ",
        ] {
            assert_eq!(judged(&rules(), text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn the_length_counts_in_code_points() {
        let least = PasswordRules::new(15, []);
        assert_eq!(judged(&least, "zkqvwxjpfbmghd"), Err("Choose a password of at least 15 characters.".to_owned()));
        assert_eq!(judged(&least, "zkqvwxjpfbmghdt"), Ok(()));
        assert_eq!(judged(&rules(), "zkqvwxj"), Err("Choose a password of at least 8 characters.".to_owned()));
        let long: String = "violet tram sings ".chars().cycle().take(257).collect();
        assert_eq!(judged(&rules(), &long), Err("Choose a password of at most 256 characters.".to_owned()));
    }

    #[test]
    fn what_is_tried_first_is_refused_with_the_reason() {
        for (text, reason) in [
            ("password", "common password"),
            ("P@ssw0rd1", "common password"),
            ("drowssap1", "common password"),
            ("password1234567", "common password"),
            ("qwertyuiop", "common password"),
            ("aaaaaaaaaaaaaaaaaaaa", "Repetitions"),
            ("abcdefghijkl", "Sequences"),
            ("12.03.1987", "Years and dates"),
            ("Sessiond2026", "name of this service"),
            ("winterberg2026", "name of this service"),
            ("anakovac", "your name"),
            ("ana.kovac@uni-example.org", "your address"),
            ("Kovačević1", "your name"),
            ("Ana.Kovac-2026", "your name"),
            ("Password-2026", "common password"),
            ("!kovac!sessiond!", "name of this service"),
        ] {
            let said = judged(&rules(), text).expect_err(text);
            assert!(said.contains(reason), "{text}: {said}");
            assert!(said.ends_with("add some to this one."), "it says what to do: {said}");
            let shown = said.to_lowercase().contains(&text.to_lowercase());
            assert!(!shown || text == "password", "never the password itself: {said}");
        }
    }

    /// All ways to read a text that zxcvbn tries, enumerated in its way.
    fn enumerated(text: &str) -> usize {
        let mut ways: Vec<Vec<(char, usize)>> = vec![Vec::new()];
        for (letter, signs) in STAND_FOR.iter().enumerate() {
            let present: Vec<char> = signs.iter().copied().filter(|sign| text.contains(*sign)).collect();
            if present.is_empty() {
                continue;
            }
            let mut next = Vec::new();
            for sign in present {
                for way in &ways {
                    if let Some(at) = way.iter().position(|(known, _)| *known == sign) {
                        next.push(way.clone());
                        let mut other = way.clone();
                        other.remove(at);
                        other.push((sign, letter));
                        next.push(other);
                    } else {
                        next.push(way.iter().copied().chain([(sign, letter)]).collect());
                    }
                }
            }
            ways = next;
        }
        ways.len()
    }

    proptest::proptest! {
        /// A judgement costs so many look-ups for each way to read the judged text: both are bounded for every input.
        #[test]
        fn whatever_is_typed_is_judged_in_a_bounded_number_of_ways(
            text in "[4@8({\\[<3691!|70$5+%2aeilost ]{0,256}|[1|7!4@il]{0,256}|\\PC{0,256}|.{0,256}"
        ) {
            let password = Password::new(text);
            let judged = within_bounds(&password.beginning(JUDGED_CHARS));
            let (ways, length) = (enumerated(&judged), judged.chars().count());
            proptest::prop_assert!(length <= JUDGED_CHARS && ways * length * length <= MOST_WORK, "{ways} ways of {length}");
            proptest::prop_assert!(password.beginning(MAX_CHARS).starts_with(judged.as_str()));
            // At least as many as the shortest password has: of `7|@+1!4{[`, with signs that read in 576 ways, eight of
            // nine.
            proptest::prop_assert!(length >= 8 || length == password.chars(), "enough of it to judge: {length}");
        }
    }

    const WORDS: [&str; 8] =
        ["password", "babygirl", "chocolate", "elephant", "orange", "maximus", "blizzard", "little"];

    #[test]
    fn the_signs_that_stand_for_letters_are_those_of_zxcvbn() {
        // A common word with one sign in place of its letter is recognised: this table is no shorter than zxcvbn's.
        for sign in ('!'..='~').filter(|sign| !sign.is_ascii_alphabetic()) {
            let reads =
                WORDS.iter().flat_map(|word| word.chars().map(|letter| word.replace(letter, &sign.to_string())));
            let reads = reads.collect::<Vec<_>>().iter().any(|text| {
                let estimate = zxcvbn(text, &[]);
                let [only] = estimate.sequence() else { return false };
                matches!(&only.pattern, MatchPattern::Dictionary(found) if found.l33t)
            });
            let known = STAND_FOR.iter().any(|signs| signs.contains(&sign));
            assert!(known || !reads, "{sign} stands for a letter");
        }
    }

    #[test]
    fn a_long_password_of_signs_is_judged_by_its_beginning() {
        let signs: String = "4@8({[<3691!|70$5+%2".chars().cycle().take(98).collect();
        assert_eq!(judged(&rules(), &signs), Ok(()));
    }

    #[test]
    fn whatever_is_typed_is_judged_without_a_panic() {
        for text in [
            "a@4480$5|1!ip".repeat(20),
            "20".repeat(15),
            "69".repeat(32),
            "hg".repeat(20),
            "\u{0}".repeat(256),
            "\u{301}".repeat(256),
            "1/1/11".repeat(43),
            "qwe123!@#zxc".repeat(22),
            "\u{10ffff}".repeat(256),
        ] {
            let cut: String = text.chars().take(MAX_CHARS).collect();
            drop(judged(&rules(), &cut));
        }
    }
}
