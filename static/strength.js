// Owns the meter beside a new password: how long it is, and how much of it follows from the rest, while it is typed.
// Must never send or keep the password, nor claim that the service will take it: that knows more, and judges when it is sent.

const WORDS = ['', 'Short', 'Could be longer', 'Good', 'Very good'];
/** From so many characters on that do not follow from others. */
const STEPS = [1, 8, 12, 16];
/** What a character is worth that repeats the one before, or is the next one in a row. */
const FOLLOWS = 0.25;

/** Measures what is typed into this field; its meter and the word beside it are named after it. */
export function gauge(input) {
  const meter = document.getElementById(`${input.id}-strength`);
  const word = document.getElementById(`${input.id}-strength-word`);
  if (!meter || !word) return;
  const show = (text) => {
    const level = levelOf(text);
    meter.value = level;
    if (word.textContent !== WORDS[level]) word.textContent = WORDS[level];
  };
  input.addEventListener('input', () => show(input.value));
  input.form.addEventListener('reset', () => show(''));
}

/** 0 for nothing, to 4. */
export function levelOf(text) {
  const worth = worthOf([...text]);
  return text === '' ? 0 : Math.max(1, STEPS.filter((step) => worth >= step).length);
}

/** The number of characters that do not follow from others; no more than three for each different one. */
function worthOf(characters) {
  const letters = withoutRepeats(characters);
  const different = new Set(letters.map((letter) => letter.toLowerCase())).size;
  const steps = letters.map((letter, at) => (at > 0 && follows(letters[at - 1], letter) ? FOLLOWS : 1));
  return Math.min(steps.reduce((sum, step) => sum + step, 0), different * 3);
}

const follows = (one, next) => Math.abs(next.codePointAt(0) - one.codePointAt(0)) <= 1;

/** `abcabcabc` is `abc`. */
function withoutRepeats(letters) {
  const whole = (length) => letters.every((letter, at) => letter === letters[at % length]);
  for (let length = 1; length <= letters.length / 2; length += 1) {
    if (whole(length)) return letters.slice(0, length);
  }
  return letters;
}
