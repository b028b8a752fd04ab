// Owns how a change is made in the console: asked for, proven, made once, and what came of it is said.
// Must never change anything that was not confirmed in words, nor repeat a change that was refused.

import { isOver, leaveFor } from './ending.js';
import { clear, say, showFieldError, wire } from './form.js';
import { withProof } from './step-up.js';
import { again, byId } from './console-parts.js';

const notice = byId('notice');
const dialog = byId('ask');
const form = byId('ask-form');
const typed = byId('ask-typed');
const why = byId('ask-reason');
let expected = null;

/** For every request: a pause is announced. */
export const waiting = { onWait: (text) => say(notice, text) };

byId('ask-no').addEventListener('click', () => dialog.close(''));

wire(form, async ({ typed: text, reason }) => {
  if (expected !== null && text.trim() !== expected) {
    showFieldError(form, 'typed', `Type ${expected}, letter by letter.`);
    typed.focus();
    return;
  }
  if (why.required && reason.trim() === '') {
    showFieldError(form, 'reason', why.dataset.missing);
    why.focus();
    return;
  }
  dialog.close('yes');
});

/**
 * Resolves to whether the person confirmed; Escape and "Cancel" do not. With `type`, it has to be typed; with `reason`, the
 * answer is the reason that was given.
 */
export function ask({ title, text, action, type = null, reason = false }) {
  expected = type;
  clear(form);
  byId('ask-title').textContent = title;
  byId('ask-text').textContent = text;
  byId('ask-type').hidden = type === null;
  typed.required = type !== null;
  byId('ask-why').hidden = !reason;
  why.required = reason;
  byId('ask-word').textContent = type ?? '';
  byId('ask-yes').textContent = action;
  dialog.returnValue = '';
  dialog.showModal();
  (reason ? why : type === null ? byId('ask-no') : typed).focus();
  return new Promise((answer) => {
    dialog.addEventListener('close', () => answer(dialog.returnValue === 'yes' && (reason ? why.value.trim() : true)), { once: true });
  });
}

/** A change behind a question and, if the service wants it, a proof; then the view is asked for again and says `done`. */
export const change = (question, make, done) => alone(async () => {
  if (question && !(await ask(question))) return;
  let answer = null;
  if (!(await withProof(async () => { answer = await make(); }))) return;
  finish(typeof done === 'function' ? done(answer) : done);
});

/** Says what came of a change, and shows how things are now. */
export function finish(text) {
  say(notice, text, 'good');
  document.querySelector('main > section:not([hidden]) h1')?.focus();
  again();
}

/** An action of one button: not twice at once, and its failure is told. */
export function alone(action) {
  let running = false;
  return async () => {
    if (running) return;
    running = true;
    say(notice, '');
    try {
      await action();
    } catch (error) {
      complain(error);
    } finally {
      running = false;
    }
  };
}

/** Acts for a user from now on: this browser is in the user's account. */
export const actAs = (question, begin) => alone(async () => {
  const reason = await ask({ ...question, reason: true });
  if (!reason) return;
  if (await withProof(() => begin(reason))) leaveFor('account');
});

/** Who is out, or is no administrator any more, is shown the way; anything else is said. */
export function complain(error) {
  if (error.status === 401) isOver() || leave();
  else if (['forbidden', 'acting-session'].includes(error.slug)) location.reload();
  else say(notice, error.message, 'bad');
}

/** To the sign-in page, which leads back to this very view. */
export function leave() {
  // What stands behind the `#` goes along, and no server's log has it.
  leaveFor(`./?${new URLSearchParams({ next: location.pathname })}${location.hash}`);
}

/** Gone already is as good as ended now. */
export async function unlessGone(ending) {
  try {
    return await ending;
  } catch (error) {
    if (error.status !== 404) throw error;
    return null;
  }
}
