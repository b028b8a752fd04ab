// Owns the sign-in page: its views, and the way on to the account, or to where somebody was going.
// Must never keep a password anywhere but in its field, and never follow an address it was given from outside.

import { login, logout, me, register } from './sessiond.js';
import { clear, say, wire } from './form.js';
import { isOnTheWay, onward } from './next.js';

const views = {
  '#sign-in': { section: document.getElementById('sign-in-view'), title: 'Sign in' },
  '#register': { section: document.getElementById('register-view'), title: 'Create an account' },
};
const signInForm = document.getElementById('sign-in-form');
const registerForm = document.getElementById('register-form');
const notice = document.getElementById('notice');
const already = document.getElementById('already-view');
const NOT_KEPT = 'Your browser blocks cookies for this address. Allow them, then sign in again.';

wire(signInForm, async ({ email, password, remember }, onWait) => {
  await login({ email, password, remember: remember === 'on' }, { onWait });
  if (await isKept(onWait)) enter();
  else say(signInForm.querySelector('.result'), NOT_KEPT, 'bad');
});

wire(registerForm, async ({ email, password, name }, onWait) => {
  await register(name.trim() === '' ? { email, password } : { email, password, name: name.trim() }, { onWait });
  try {
    await login({ email, password, remember: false }, { onWait });
  } catch {
    offerSignIn(email, 'Your account is ready. Please sign in.', 'good');
    return;
  }
  if (await isKept(onWait)) enter();
  else offerSignIn(email, NOT_KEPT, 'bad');
});

document.getElementById('already-sign-out').addEventListener('click', signOut);
addEventListener('hashchange', () => showView(true));
addEventListener('pagehide', conceal);
addEventListener('pageshow', (event) => event.persisted && skipIfSignedIn());

explainArrival();
showView(false);
skipIfSignedIn();

/** A page that wants somebody signed in sends people here, and they are told what for. */
function explainArrival() {
  if (isOnTheWay) say(signInForm.querySelector('.result'), 'Sign in to continue.');
}

function showView(moveFocus) {
  already.hidden = true;
  const chosen = views[location.hash] ?? views['#sign-in'];
  for (const { section } of Object.values(views)) section.hidden = section !== chosen.section;
  document.title = `${chosen.title} · sessiond`;
  if (moveFocus) chosen.section.querySelector('input').focus();
}

async function skipIfSignedIn() {
  try {
    const { user } = await me({ onWait: (text) => say(notice, text) });
    // The page that sent them here was asked with the cookie, or this one would not have been shown: it said no.
    if (isOnTheWay) sayWho(user);
    else enter();
  } catch {
    // Nobody is signed in, or it cannot be told: the form is the right thing to show.
    say(notice, '');
    if (!already.hidden) showView(false);
  }
}

/** Nobody who is signed in is sent back by itself to a page that has sent them here. */
function sayWho(user) {
  say(notice, '');
  for (const { section } of Object.values(views)) section.hidden = true;
  document.getElementById('already-who').textContent = user.email ?? user.subject;
  document.getElementById('already-go-on').href = onward;
  already.hidden = false;
  document.title = 'Signed in · sessiond';
  document.getElementById('already-title').focus();
}

async function signOut() {
  const button = document.getElementById('already-sign-out');
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  try {
    await logout({ onWait: (text) => say(notice, text) });
  } catch (error) {
    if (error.status !== 401) return say(notice, error.message, 'bad');
  } finally {
    button.removeAttribute('aria-disabled');
  }
  conceal();
  say(notice, '');
  showView(true);
}

/** A page put aside by the browser keeps nothing to show. */
function conceal() {
  document.getElementById('already-who').textContent = '';
  [signInForm, registerForm].forEach(clear);
}

/** There is an account, and it has to be signed in with. */
function offerSignIn(email, text, tone) {
  clear(registerForm);
  signInForm.elements.namedItem('email').value = email;
  location.hash = '#sign-in';
  say(signInForm.querySelector('.result'), text, tone);
}

/** Without the cookie, the next page would only lead back here, without a word. */
async function isKept(onWait) {
  try {
    await me({ onWait });
    return true;
  } catch (error) {
    return error.status !== 401;
  }
}

function enter() {
  location.replace(onward);
}
