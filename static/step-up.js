// Owns the prompt for the password before a change that wants a recent proof of who asks for it.
// Must never keep the password anywhere but in its field, nor repeat a change before the proof was accepted.

import { onStepUp, reauthenticate } from './sessiond.js';
import { clear, wire } from './form.js';

const dialog = document.getElementById('step-up');
const form = document.getElementById('step-up-form');
let refusal = null;

document.getElementById('step-up-no').addEventListener('click', () => dialog.close(''));
dialog.addEventListener('close', () => clear(form));

wire(form, async ({ current_password: password }, onWait) => {
  try {
    await reauthenticate(password, { onWait });
  } catch (error) {
    // Proven; that the old cookie is dead everywhere is being confirmed.
    if (error.slug !== 'unconfirmed') throw error;
  }
  dialog.close('proven');
}, (error) => {
  // The session has ended: no password helps.
  if (error.status !== 401) return false;
  refusal = error;
  dialog.close('');
  return true;
});

// Whatever is refused for want of a recent proof waits for it, and is made again.
onStepUp(prove);

/** Makes a change that may want a recent proof. False: the person was asked for one, and thought better of it. */
export async function withProof(change) {
  try {
    await change();
    return true;
  } catch (error) {
    if (error.slug === 'step-up-required' && dialog.returnValue !== 'proven') return false;
    throw error;
  }
}

/** Whom an application verifies has no password here: the prompt says where to prove who it is. */
export function knowUser({ subject }) {
  const isElsewhere = subject !== null;
  const say = (id, here, elsewhere) => { document.getElementById(id).textContent = isElsewhere ? elsewhere : here; };
  say('step-up-title', 'Confirm your password', 'Sign in again');
  say('step-up-text', 'You signed in a while ago. Enter your password to continue.',
    'You signed in a while ago. Sign in again in the application that you came from, then try again here.');
  for (const part of [form.querySelector('.field'), document.getElementById('step-up-yes')]) part.hidden = isElsewhere;
}

/** Takes the prompt away, unanswered. */
export const dismiss = () => dialog.close('');

function prove() {
  refusal = null;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve, reject) => {
    const answered = () => (refusal ? reject(refusal) : resolve(dialog.returnValue === 'proven'));
    dialog.addEventListener('close', answered, { once: true });
  });
}
