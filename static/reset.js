// Owns the page behind a password-reset link: a new password for the token in the fragment.
// Must never leave the token in the address bar, put it into a URL, or keep it after it was used.

import { resetPassword } from './sessiond.js';
import { clear, wire } from './form.js';

const form = document.getElementById('reset-form');
const views = ['reset-view', 'done-view', 'invalid-view'].map((id) => document.getElementById(id));
let token = '';

wire(
  form,
  async ({ new_password: next }, onWait) => {
    await resetPassword(token, next, { onWait });
    finish('done-view');
  },
  (error) => {
    if (error.slug === 'unconfirmed') finish('done-view');
    else if (linkIsSpent(error)) finish('invalid-view');
    else return false;
    return true;
  },
);

addEventListener('hashchange', takeToken);
addEventListener('pagehide', () => clear(form));
takeToken();

function takeToken() {
  token = decodeFragment(location.hash.slice(1));
  history.replaceState(null, '', location.pathname);
  show(token === '' ? 'invalid-view' : 'reset-view');
}

function decodeFragment(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** Every refusal that is not about the password typed, nor about where the page was opened from, is about the link. */
function linkIsSpent(error) {
  const refused = error.status >= 400 && error.status < 500;
  const aboutPassword = error.errors?.some(({ field }) => field === 'new_password');
  return refused && !aboutPassword && error.slug !== 'forbidden-origin';
}

function finish(view) {
  token = '';
  clear(form);
  show(view).querySelector('h1').focus();
}

function show(id) {
  for (const view of views) view.hidden = view.id !== id;
  return document.getElementById(id);
}
