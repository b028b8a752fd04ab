// Owns the account page: who is signed in, the password, and the list of sessions with the ways to end them.
// Must never show an account without having asked for it, nor text from the service other than as text.

import { changePassword, logout, me, rename, revoke, revokeOthers, sessions } from './api.js';
import { clear, say, wire } from './form.js';
import { dismiss, withProof } from './step-up.js';

const byId = (id) => document.getElementById(id);
const KINDS = { desktop: 'Computer', mobile: 'Phone or tablet', program: 'Program', unknown: 'Unknown device' };
const UNITS = [['year', 31_536_000], ['month', 2_592_000], ['day', 86_400], ['hour', 3_600], ['minute', 60]];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const absolute = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'long' });
const dayOnly = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long' });

const account = byId('account');
const notice = byId('notice');
const sessionsResult = byId('sessions-result');
const nameForm = byId('name-form');
const passwordForm = byId('password-form');
const waiting = { onWait: (text) => say(notice, text) };
let turn = 0;

byId('sign-out').addEventListener('click', alone(signOut));
byId('end-others').addEventListener('click', alone(endOthers));
byId('confirm-yes').addEventListener('click', () => byId('confirm').close('yes'));
byId('confirm-no').addEventListener('click', () => byId('confirm').close('no'));

wire(nameForm, async ({ name }, onWait) => {
  let renamed = null;
  const change = async () => { renamed = await rename(name.trim() || null, { onWait }); };
  if (!(await withProof(change))) return;
  showUser(renamed.user);
  say(nameForm.querySelector('.result'), 'Saved.', 'good');
}, leaveIfEnded);

wire(passwordForm, async ({ current_password: current, new_password: next }, onWait) => {
  try {
    await changePassword(current, next, { onWait });
  } catch (error) {
    if (error.slug !== 'unconfirmed') throw error;
    // The password is changed; asking again to end the other sessions is what confirms that they are gone.
    await revokeOthers({ onWait });
  }
  clear(passwordForm);
  say(passwordForm.querySelector('.result'), 'Your password is changed. All other sessions were ended.', 'good');
  alone(refreshSessions)();
}, leaveIfEnded);

// A page put aside by the browser keeps nothing to show; when it is brought back, it asks again.
addEventListener('pagehide', conceal);
addEventListener('pageshow', (event) => event.persisted && load());
setInterval(showElapsed, 30_000);
load();

async function load() {
  const mine = (turn += 1);
  try {
    const [who, list] = await Promise.all([me(waiting), sessions(waiting)]);
    if (mine !== turn) return;
    say(notice, '');
    showUser(who.user);
    showSessions(list.sessions);
    account.hidden = false;
    byId('sign-out').hidden = false;
    byId('loading').hidden = true;
  } catch (error) {
    if (mine !== turn) return;
    if (error.status === 401) location.replace('./');
    byId('loading').hidden = true;
    if (error.status !== 401) say(notice, error.message, 'bad');
  }
}

function conceal() {
  turn += 1;
  account.hidden = true;
  byId('sign-out').hidden = true;
  byId('to-console').hidden = true;
  byId('loading').hidden = false;
  byId('sessions').replaceChildren();
  for (const id of ['who', 'email', 'since', 'password-username']) byId(id).textContent = '';
  [nameForm, passwordForm].forEach(clear);
  byId('confirm').close('no');
  byId('step-up-username').value = '';
  dismiss();
}

function showUser(user) {
  byId('who').textContent = user.name ?? user.email;
  byId('email').textContent = user.email;
  byId('email').hidden = user.name === null;
  byId('since').textContent = `Member since ${dayOnly.format(new Date(user.created_at))}`;
  byId('role').hidden = !user.roles.includes('admin');
  byId('to-console').hidden = !user.roles.includes('admin');
  byId('password-username').value = user.email;
  byId('step-up-username').value = user.email;
  nameForm.elements.namedItem('name').value = user.name ?? '';
}

function showSessions(list) {
  const order = (a, b) => b.current - a.current || b.last_seen_at.localeCompare(a.last_seen_at);
  const rows = [...list].sort(order).map(rowOf);
  byId('sessions').replaceChildren(...rows);
  byId('session-count').textContent = rows.length === 1 ? 'Only this one' : `${rows.length} places`;
  byId('end-others').hidden = rows.length < 2;
  showElapsed();
}

function rowOf(session) {
  const row = byId('session-template').content.cloneNode(true).firstElementChild;
  const part = (name) => row.querySelector(`.${name}`);
  const kind = Object.hasOwn(KINDS, session.device.kind) ? session.device.kind : 'unknown';
  const device = deviceName(session.device) ?? KINDS[kind];
  row.dataset.sessionId = session.id;
  row.classList.toggle('current', session.current);
  part('icon').firstElementChild.setAttribute('href', `#icon-${kind}`);
  part('device').textContent = device;
  part('this-one').hidden = !session.current;
  part('kind').textContent = KINDS[kind];
  part('kind').hidden = kind === 'unknown' || device === KINDS[kind];
  part('ip').textContent = session.ip ?? 'address unknown';
  setTime(part('last-seen'), session.last_seen_at);
  setTime(part('created'), session.created_at);
  part('remembered').hidden = !session.remember;
  part('end').hidden = session.current;
  part('end').setAttribute('aria-label', `End the session of ${device}, ${session.ip ?? 'address unknown'}`);
  part('end').addEventListener('click', alone(() => endOne(session.id, device)));
  return row;
}

/** What the device calls itself; null when it says nothing that is known. */
function deviceName({ browser, os }) {
  return browser && os ? `${browser} on ${os}` : (browser ?? os);
}

function setTime(element, text) {
  element.dateTime = text;
  element.title = absolute.format(new Date(text));
}

/** Writes how long ago every time of the list was; again every half minute. */
function showElapsed() {
  for (const element of document.querySelectorAll('#sessions time')) {
    element.textContent = ago(Date.now() - Date.parse(element.dateTime));
  }
}

function ago(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit ? relative.format(-Math.floor(seconds / unit[1]), unit[0]) : 'just now';
}

async function endOne(id, device) {
  const sure = await ask('End this session?', `${device} will be signed out at once and has to sign in again.`, 'End session');
  if (!sure) return;
  try {
    if (!(await withProof(() => revoke(id, waiting)))) return;
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  await afterEnding(`The session of ${device} has ended.`);
}

async function endOthers() {
  const sure = await ask('End all other sessions?', 'Every place but this one will be signed out at once.', 'End all others');
  if (!sure) return;
  if (!(await withProof(() => revokeOthers(waiting)))) return;
  await afterEnding('All other sessions have ended.');
}

async function afterEnding(text) {
  say(sessionsResult, text, 'good');
  byId('sessions-title').focus();
  await refreshSessions();
}

async function refreshSessions() {
  const mine = turn;
  const list = await sessions(waiting);
  if (mine !== turn) return;
  say(notice, '');
  showSessions(list.sessions);
}

/** Resolves to whether the person confirmed; Escape and "Cancel" do not. */
function ask(title, text, action) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = title;
  byId('confirm-text').textContent = text;
  byId('confirm-yes').textContent = action;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener('close', () => answer(dialog.returnValue === 'yes'), { once: true });
  });
}

async function signOut() {
  try {
    await logout(waiting);
  } catch (error) {
    if (error.status !== 401) throw error;
  }
  document.body.replaceChildren();
  location.replace('./');
}

/** An action of one button: not twice at once, and its failure is told. */
function alone(action) {
  let running = false;
  return async () => {
    if (running) return;
    running = true;
    say(notice, '');
    say(sessionsResult, '');
    try {
      await action();
    } catch (error) {
      if (!leaveIfEnded(error)) say(notice, error.message, 'bad');
    } finally {
      running = false;
    }
  };
}

function leaveIfEnded(error) {
  if (error.status !== 401) return false;
  conceal();
  location.replace('./#ended');
  return true;
}
