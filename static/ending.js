// Owns how a page's session ends: by its own button, or because the service says that it has, and why in words.
// Must never leave anything of the account in the page, nor ask the service for anything when it was told.

import { logout, onEnded } from './sessiond.js';

const REASONS = {
  signed_out: 'You signed out in another tab of this browser.',
  signed_out_elsewhere: 'This session was ended from another of your sessions.',
  revoked: 'An administrator ended this session.',
  password_changed: 'Your password was changed in another session. If it was not you, ask an administrator for help.',
  password_reset: 'Your password was reset with a link. If it was not you, ask an administrator for help.',
  disabled: 'Your account was disabled. Ask an administrator for help.',
  user_deleted: 'Your account was deleted.',
  roles_changed: 'The roles of your account have changed. Sign in again to continue.',
  evicted: 'You have too many sessions, so the one that was unused for longest has ended.',
  replaced: 'Someone signed in in another tab of this browser.',
  device_changed: 'A different browser or system used this session.',
  suspicious: 'This session looked suspicious, so the service ended it. If it was you, sign in again.',
  ledger_restored: 'The service was restored from a backup, so it ended every session to be safe.',
  expired: 'The session was unused for too long, or reached its maximum age.',
};
const UNKNOWN = 'Your session has ended.';

const panel = document.getElementById('ended');
const buttons = document.querySelectorAll('#sign-out, #refused-sign-out, #acting-stop');
const title = document.title;
let conceal = () => {};
let leaving = false;
let told = null;

// Whoever comes back sees the page, also while nobody can tell whether there is a session.
addEventListener('pageshow', (event) => event.persisted && stay());
onEnded(({ reason }) => {
  told = reason;
  if (!leaving) show();
});

/** `hide` takes everything of the account out of the page, before it is said that the session has ended. */
export const beforeTheEnd = (hide) => { conceal = hide; };

/** Whether the page says that its session has ended: there is nothing left to do for whoever finds out, too. */
export const isOver = () => !panel.hidden;

/** The page is about a session again. */
export function beginAgain() {
  told = null;
  stay();
  panel.hidden = true;
  document.title = title;
}

/** Ends this session and leaves for the sign-in page, whatever of it had ended already. */
export async function signOut(options) {
  leaving = true;
  for (const button of buttons) button.setAttribute('aria-disabled', 'true');
  // What the browser has to delete may take it a second.
  options?.onWait?.('Signing out…');
  try {
    await logout(options);
  } catch (error) {
    if (error.status !== 401) {
      stay();
      if (told !== null) show();
      throw error;
    }
  }
  leaveFor('./');
}

/** Leaves for another page, and shows nothing of this one any more: emptied, it would have nothing left to conceal on its way out. */
export function leaveFor(address) {
  conceal();
  document.body.hidden = true;
  location.replace(address);
}

function stay() {
  leaving = false;
  document.body.hidden = false;
  for (const button of buttons) button.removeAttribute('aria-disabled');
}

function show() {
  conceal();
  document.getElementById('loading').hidden = true;
  document.getElementById('ended-reason').textContent = Object.hasOwn(REASONS, told) ? REASONS[told] : UNKNOWN;
  document.title = 'Signed out · sessiond';
  panel.hidden = false;
  document.getElementById('ended-title').focus();
}
