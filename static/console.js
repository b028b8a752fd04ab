// Owns the console's frame: who is here, which view the address names, and that nothing stays of one that is left.
// Must never ask for anything before it is known that an administrator asks.

import { me } from './sessiond.js';
import { beforeTheEnd, beginAgain, signOut } from './ending.js';
import { dismiss } from './step-up.js';
import { say } from './form.js';
import { alone, complain, leave, waiting } from './console-acts.js';
import { byId } from './console-parts.js';
import * as alerts from './console-alerts.js';
import * as audit from './console-audit.js';
import * as overview from './console-overview.js';
import * as people from './console-people.js';
import * as person from './console-person.js';
import * as sessions from './console-sessions.js';

// Each has `show(parameters, options, user)`: asks, and fills its section; what it gives is its title.
const VIEWS = { overview, sessions, people, person, alerts, audit };
const sections = [...document.querySelectorAll('main > section')];
const notice = byId('notice');
let user = null;
let turn = new AbortController();
let shown = null;

byId('zone').textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
byId('sign-out').addEventListener('click', alone(() => signOut(waiting)));
byId('refused-sign-out').addEventListener('click', alone(() => signOut(waiting)));
byId('acting-stop').addEventListener('click', alone(() => signOut(waiting)));
byId('ended-sign-in').addEventListener('click', leave);
beforeTheEnd(() => { conceal(); settled(); });
addEventListener('hashchange', () => user && go());
// A page put aside by the browser keeps nothing to show; when it is brought back, it asks again.
addEventListener('pagehide', conceal);
addEventListener('pageshow', (event) => event.persisted && enter());
enter();

async function enter() {
  const options = newTurn();
  try {
    const who = await me(options);
    if (options.signal.aborted) return;
    say(notice, '');
    beginAgain();
    admit(who.user, who.session.actor);
  } catch (error) {
    if (!options.signal.aborted) complain(error);
  }
}

function admit(who, actor) {
  byId('me').textContent = who.email ?? who.subject;
  byId('step-up-username').value = who.email ?? '';
  byId('sign-out').hidden = false;
  if (actor !== null) {
    byId('acting-who').textContent = who.name ?? who.email ?? who.subject;
    settled();
    reveal('acting', 'Acting for a user');
  } else if (who.roles.includes('admin')) {
    user = who;
    byId('ways').hidden = false;
    go();
  } else {
    byId('refused-who').textContent = who.email ?? who.subject;
    settled();
    reveal('refused', 'For administrators');
  }
}

/** Shows the view that the address names. The one before stays until there is something to show. */
async function go() {
  const options = newTurn();
  const { name, parameters } = whereTo();
  for (const way of document.querySelectorAll('#ways a')) {
    if (way.hash === `#${name}`) way.setAttribute('aria-current', 'page');
    else way.removeAttribute('aria-current');
  }
  byId('main').setAttribute('aria-busy', 'true');
  try {
    const title = await VIEWS[name].show(parameters, options, user);
    if (options.signal.aborted) return;
    if (notice.dataset.tone !== 'good') say(notice, '');
    reveal(`${name}-view`, title);
  } catch (error) {
    if (options.signal.aborted) return;
    if (error.status === 401 || ['forbidden', 'acting-session'].includes(error.slug)) complain(error);
    else fail(error);
  } finally {
    if (!options.signal.aborted) settled();
  }
}

function settled() {
  byId('main').setAttribute('aria-busy', 'false');
}

function fail(error) {
  byId('failed-text').textContent = error.errors?.map(({ detail }) => detail).join(' ') || error.message;
  reveal('failed', 'Nothing to show');
}

/** `#sessions?country=PT`; anything else is the overview. */
function whereTo() {
  const [name, query = ''] = location.hash.slice(1).split('?', 2);
  const known = Object.hasOwn(VIEWS, name) ? name : 'overview';
  return { name: known, parameters: Object.fromEntries(new URLSearchParams(query)) };
}

function reveal(id, title) {
  byId('loading').hidden = true;
  for (const section of sections) section.hidden = section.id !== id;
  document.title = `${title} · sessiond`;
  // The first view is where the browser begins by itself.
  if (shown !== null && shown !== id) {
    scrollTo(0, 0);
    (byId(id).querySelector('[aria-invalid]') ?? byId(id).querySelector('h1')).focus({ preventScroll: true });
  }
  shown = id;
}

function newTurn() {
  turn.abort();
  turn = new AbortController();
  return { ...waiting, signal: turn.signal };
}

function conceal() {
  turn.abort();
  user = null;
  shown = null;
  for (const section of sections) section.hidden = true;
  for (const place of document.querySelectorAll('[data-answer]')) place.replaceChildren();
  for (const form of document.querySelectorAll('form')) form.reset();
  for (const dialog of document.querySelectorAll('dialog')) dialog.close('');
  for (const id of ['sign-out', 'ways']) byId(id).hidden = true;
  byId('me').textContent = '';
  byId('step-up-username').value = '';
  byId('loading').hidden = false;
  say(notice, '');
  dismiss();
}

