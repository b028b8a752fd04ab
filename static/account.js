// Owns the account page: who is signed in, the password, and the list of sessions with the ways to end them.
// Must never show an account without having asked for it, nor text from the service other than as text; nor keep somebody
// signed in by what it asks of its own accord.

import { changePassword, me, onSessionsChanged, rename, revoke, revokeAgents, revokeOthers, sessions } from './sessiond.js';
import { beforeTheEnd, beginAgain, isOver, signOut } from './ending.js';
import { clear, say, wire } from './form.js';
import { dismiss, knowUser, withProof } from './step-up.js';

const byId = (id) => document.getElementById(id);
const KINDS = { desktop: 'Computer', mobile: 'Phone or tablet', program: 'Program', unknown: 'Unknown device' };
/** Whoever was there within a minute still is, as far as anybody can tell. */
const ACTIVE_MS = 60_000;
/** The list is asked for again in vain for so long. */
const FOLLOW_MS = 30_000;
const UNITS = [['year', 31_536_000], ['month', 2_592_000], ['day', 86_400], ['hour', 3_600], ['minute', 60]];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const absolute = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'long' });
const countries = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'code' });
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });
const dayOnly = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long' });

const account = byId('account');
const notice = byId('notice');
const sessionsResult = byId('sessions-result');
const nameForm = byId('name-form');
const passwordForm = byId('password-form');
const waiting = { onWait: (text) => say(notice, text) };
let turn = 0;
let following = null;
let missed = false;
/** Whoever acts for the user sees who that is, and no list. */
let acting = false;

byId('sign-out').addEventListener('click', alone(() => signOut(waiting)));
byId('end-others').addEventListener('click', alone(endOthers));
byId('end-agents').addEventListener('click', alone(endAgents));
byId('acting-stop').addEventListener('click', alone(() => signOut(waiting)));
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
  say(passwordForm.querySelector('.result'), 'Your password is changed. All other sessions have ended.', 'good');
  alone(refreshSessions)();
}, leaveIfEnded);

// What was said of the page is over when somebody does something else, or the connection is back.
for (const form of [nameForm, passwordForm]) form.addEventListener('submit', () => say(notice, ''));
addEventListener('online', () => say(notice, ''));
// A page put aside by the browser keeps nothing to show; when it is brought back, it asks again.
addEventListener('pagehide', conceal);
addEventListener('pageshow', (event) => event.persisted && load());
beforeTheEnd(conceal);
onSessionsChanged(follow);
// Sessions end unused after whole minutes: asked for at such a moment, the list would be refused, which is an error in the console.
setInterval(() => document.visibilityState === 'visible' && !account.hidden && follow(), 50_000);
setInterval(showElapsed, 15_000);
load();

async function load() {
  const mine = (turn += 1);
  try {
    const who = await me(waiting);
    const list = who.session.actor === null ? await sessions(waiting) : null;
    if (mine !== turn) return;
    say(notice, '');
    beginAgain();
    showUser(who.user);
    showActor(who);
    if (list !== null) showSessions(list.sessions);
    account.hidden = false;
    byId('sign-out').hidden = false;
    byId('loading').hidden = true;
    if (missed) follow();
  } catch (error) {
    if (mine !== turn) return;
    byId('loading').hidden = true;
    if (!leaveIfEnded(error)) say(notice, error.message, 'bad');
  }
}

function conceal() {
  turn += 1;
  account.hidden = true;
  byId('sign-out').hidden = true;
  byId('to-console').hidden = true;
  byId('loading').hidden = false;
  byId('sessions').replaceChildren();
  for (const id of ['who', 'email', 'since', 'password-username', 'acting-who', 'acting-why']) byId(id).textContent = '';
  [nameForm, passwordForm].forEach(clear);
  byId('confirm').close('no');
  byId('step-up-username').value = '';
  dismiss();
}

function showUser(user) {
  byId('who').textContent = user.name ?? user.email ?? user.subject;
  byId('email').textContent = user.email ?? '';
  byId('email').hidden = user.name === null || user.email === null;
  byId('since').textContent = `Member since ${dayOnly.format(new Date(user.created_at))}`;
  byId('role').hidden = !user.roles.includes('admin');
  byId('to-console').hidden = !user.roles.includes('admin');
  // Of a user of an application, that application says the name and verifies who it is.
  for (const title of ['name-title', 'password-title']) byId(title).closest('section').hidden = user.subject !== null;
  byId('password-username').value = user.email ?? '';
  byId('step-up-username').value = user.email ?? '';
  knowUser(user);
  nameForm.elements.namedItem('name').value = user.name ?? '';
}

/** Who acts for the user can look, and stop: everything else on this page is the user's alone. */
function showActor({ user, session: { actor, expires_at: until } }) {
  acting = actor !== null;
  byId('acting').hidden = !acting;
  account.querySelector('.ledger').hidden = acting;
  account.querySelector('.aside').hidden = acting;
  // Its own button says what it is about.
  document.querySelector('.ways').hidden = acting;
  if (!acting) return;
  byId('acting-who').textContent = user.name ?? user.email ?? user.subject;
  byId('acting-why').textContent = [actor.reason, `until ${clock.format(new Date(until))} at the latest`].filter(Boolean).join(' · ');
}

/** The list as it is now. A line that is there stays where it is, with the focus it may have; what is new comes last. */
function showSessions(list) {
  const place = byId('sessions');
  const lines = new Map([...place.children].map((row, at) => [row.dataset.sessionId, { row, at }]));
  const rank = ({ id }) => lines.get(id)?.at ?? Infinity;
  const order = (a, b) => Math.sign(rank(a) - rank(b)) || b.current - a.current || b.last_seen_at.localeCompare(a.last_seen_at);
  const rows = [...list].sort(order).map((session) => fill(lines.get(session.id)?.row ?? newRow(), session));
  for (const gone of [...place.children].filter((row) => !rows.includes(row))) {
    if (gone.contains(document.activeElement)) byId('sessions-title').focus();
    gone.remove();
  }
  place.append(...rows.filter((row) => row.parentElement !== place));
  byId('session-count').textContent = rows.length === 1 ? 'Only this one' : `${rows.length} places`;
  byId('end-others').hidden = rows.length < 2;
  byId('end-agents').hidden = !list.some(({ actor }) => actor?.kind === 'agent');
  showElapsed();
}

function newRow() {
  const row = byId('session-template').content.cloneNode(true).firstElementChild;
  row.querySelector('.end').addEventListener('click', alone(() => endOne(row.dataset.sessionId, row.querySelector('.device').textContent)));
  return row;
}

function fill(row, session) {
  const part = (name) => row.querySelector(`.${name}`);
  const kind = Object.hasOwn(KINDS, session.device.kind) ? session.device.kind : 'unknown';
  const device = deviceName(session.device) ?? KINDS[kind];
  row.dataset.sessionId = session.id;
  row.classList.toggle('current', session.current);
  part('icon').firstElementChild.setAttribute('href', `#icon-${kind}`);
  part('device').textContent = device;
  part('this-one').hidden = !session.current;
  part('actor').hidden = session.actor === null;
  part('actor').textContent = session.actor === null ? '' : actorName(session.actor);
  part('why').hidden = !session.actor?.reason;
  part('why').textContent = session.actor?.reason ? `acts as you: ${session.actor.reason}` : '';
  part('kind').textContent = KINDS[kind];
  part('kind').hidden = kind === 'unknown' || device === KINDS[kind];
  part('ip').textContent = session.ip ?? 'address unknown';
  part('place').textContent = placeOf(session.location);
  part('place').hidden = !session.location;
  setTime(part('last-seen'), session.last_seen_at);
  setTime(part('created'), session.created_at);
  part('remembered').hidden = !session.remember;
  part('end').hidden = session.current;
  part('end').setAttribute('aria-label', `End the session of ${device}, ${session.ip ?? 'address unknown'}`);
  return row;
}

/** Whoever acts: an agent has a name for people, an administrator has none. */
function actorName({ kind, id }) {
  return kind === 'admin' ? 'An administrator' : `Agent ${id}`;
}

/** `Lisbon, Portugal` for `Lisbon, PT`. */
function placeOf(location) {
  return String(location ?? '').replace(/\b[A-Z]{2}$/, (code) => countries.of(code) ?? code);
}

/** What the device calls itself; null when it says nothing that is known. */
function deviceName({ browser, os }) {
  return browser && os ? `${browser} on ${os}` : (browser ?? os);
}

function setTime(element, text) {
  element.dateTime = text;
  element.title = absolute.format(new Date(text));
}

/** Writes how long ago every time of the list was; again and again. */
function showElapsed() {
  for (const element of document.querySelectorAll('#sessions time')) {
    const passed = Date.now() - Date.parse(element.dateTime);
    const seen = element.matches('.last-seen');
    element.toggleAttribute('data-active', seen && passed < ACTIVE_MS);
    element.textContent = seen && passed < ACTIVE_MS ? 'active now' : `${seen ? 'last seen' : 'signed in'} ${ago(passed)}`;
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
  const sure = await ask('End all other sessions?', 'All other sessions will be signed out at once.', 'End all others');
  if (!sure) return;
  if (!(await withProof(() => revokeOthers(waiting)))) return;
  await afterEnding('All other sessions have ended.');
}

async function endAgents() {
  const sure = await ask('End all agents?', 'All sessions in which an agent acts for you end at once.', 'End all agents');
  if (!sure) return;
  if (!(await withProof(() => revokeAgents(waiting)))) return;
  await afterEnding('All agents are signed out.');
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

/** The list once more, because it may be another one: asked for by the page, not by the person. One question at a time. */
function follow() {
  if (acting) return;
  // What is just being fetched for the first time may be older than the news.
  missed = account.hidden;
  if (missed) return;
  if (following !== null) {
    following.again = true;
    return;
  }
  const mine = turn;
  const signal = AbortSignal.timeout(FOLLOW_MS);
  following = { again: false };
  sessions({ background: true, signal }).then((list) => {
    if (mine === turn) showNews(list.sessions);
  }, () => {
    // Whether the session has ended is told elsewhere; an absent service is asked again with the next news.
  }).finally(() => {
    const { again } = following;
    following = null;
    if (again && mine === turn) follow();
  });
}

function showNews(list) {
  const known = new Set([...byId('sessions').children].map((row) => row.dataset.sessionId));
  const begun = list.filter(({ id }) => !known.has(id));
  showSessions(list);
  if (begun.length === 0) return;
  const names = begun.map(({ device }) => deviceName(device) ?? KINDS[device.kind] ?? KINDS.unknown);
  say(sessionsResult, `Signed in just now: ${names.join(', ')}.`);
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
  if (!isOver()) location.replace('./');
  return true;
}
