// Owns the sign-in page: its two views, and the way on to the account, or back to the console.
// Must never keep a password anywhere but in its field, and never follow an address it was given from outside.

import { login, me, register } from './sessiond.js';
import { clear, say, wire } from './form.js';

const views = {
  '#sign-in': { section: document.getElementById('sign-in-view'), title: 'Sign in' },
  '#register': { section: document.getElementById('register-view'), title: 'Create an account' },
};
const signInForm = document.getElementById('sign-in-form');
const registerForm = document.getElementById('register-form');
const notice = document.getElementById('notice');
/** The console sends people here with the view they wanted behind its name, and only there they are sent back. */
const CONSOLE = '#console/';
const wanted = location.hash.startsWith(CONSOLE) ? `console#${location.hash.slice(CONSOLE.length)}` : 'account';

wire(signInForm, async ({ email, password, remember }, onWait) => {
  await login({ email, password, remember: remember === 'on' }, { onWait });
  enter();
});

wire(registerForm, async ({ email, password, name }, onWait) => {
  await register(name.trim() === '' ? { email, password } : { email, password, name: name.trim() }, { onWait });
  try {
    await login({ email, password, remember: false }, { onWait });
    enter();
  } catch {
    clear(registerForm);
    signInForm.elements.namedItem('email').value = email;
    location.hash = '#sign-in';
    say(signInForm.querySelector('.result'), 'Your account is ready. Sign in with it.', 'good');
  }
});

addEventListener('hashchange', () => showView(true));
addEventListener('pagehide', () => [signInForm, registerForm].forEach(clear));
addEventListener('pageshow', (event) => event.persisted && skipIfSignedIn());

explainArrival();
showView(false);
skipIfSignedIn();

/** The console sends people here, and they are told what for. */
function explainArrival() {
  if (wanted !== 'account') say(signInForm.querySelector('.result'), 'Sign in to see the console.');
}

function showView(moveFocus) {
  const chosen = views[location.hash] ?? views['#sign-in'];
  for (const { section } of Object.values(views)) section.hidden = section !== chosen.section;
  document.title = `${chosen.title} · sessiond`;
  if (moveFocus) chosen.section.querySelector('input').focus();
}

async function skipIfSignedIn() {
  try {
    await me({ onWait: (text) => say(notice, text) });
    enter();
  } catch {
    // Nobody is signed in, or it cannot be told: the form is the right thing to show.
    say(notice, '');
  }
}

function enter() {
  location.replace(wanted);
}
