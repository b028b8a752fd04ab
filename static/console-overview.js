// Owns the first view: who is signed in from where, and what is strange.
// Must never count what it has not seen: it says of how many sessions it speaks.

import { say } from './form.js';
import { alerts, sessionsBy } from './admin-api.js';
import { alertList } from './console-alerts.js';
import { sessionTable } from './console-sessions.js';
import { at, byId, capital, count, countryName, el, link } from './console-parts.js';

const LOOK = 200;
const ALERTS = 5;
const NEWEST = 15;

export async function show(parameters, options) {
  const [strange, live] = await Promise.all([alerts({ state: 'open', limit: ALERTS }, options), sessionsBy({}, { limit: LOOK }, options)]);
  if (options.signal.aborted) return '';
  fillAlerts(strange);
  fillPlaces(live);
  const newest = live.sessions.slice(0, NEWEST);
  byId('overview-table').replaceChildren(...(newest.length === 0 ? [] : [sessionTable('The newest sessions', newest)]));
  byId('overview-all').hidden = live.sessions.length <= NEWEST && !live.next_cursor;
  return 'Overview';
}

function fillAlerts({ alerts: open, next_cursor: more }) {
  const number = count(open.length, 'open alert');
  const text = open.length === 0 ? 'No open alerts.' : `${more ? `More than ${number}` : capital(number)}.`;
  say(byId('overview-strange'), text, open.length === 0 ? 'good' : 'bad');
  byId('overview-alerts').replaceChildren(...(open.length === 0 ? [] : [alertList(open, { level: 'h3' })]));
  byId('overview-more').hidden = !more;
}

function fillPlaces({ sessions, next_cursor: more }) {
  const people = new Set(sessions.map((session) => session.user_id)).size;
  const whole = `${capital(count(sessions.length, 'live session'))} of ${count(people, 'person', 'people')}`;
  say(byId('overview-found'), more ? `The newest ${LOOK} sessions belong to ${count(people, 'person', 'people')}; there are more.` : `${whole}.`);
  const tally = new Map();
  for (const { last_country: country } of sessions) tally.set(country ?? '', (tally.get(country ?? '') ?? 0) + 1);
  const order = [...tally].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  byId('overview-places').replaceChildren(...order.map(([country, number]) => el('li', {}, placeOf(country, number))));
}

function placeOf(country, number) {
  const parts = [el('span', {}, country === '' ? 'Unknown place' : countryName(country)), ' ', el('strong', {}, String(number))];
  if (country === '') return el('span', { class: 'chip plain' }, ...parts);
  const chip = link(at('sessions', { country }), '', { class: 'chip plain' });
  chip.append(...parts);
  return chip;
}
