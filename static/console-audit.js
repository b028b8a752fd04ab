// Owns the view of the audit trail: what happened, who did it, to whom, from where.
// Must never change anything.

import { say } from './form.js';
import { audit } from './admin-api.js';
import { Filter } from './console-filter.js';
import { at, byId, capital, count, el, lines, link, nothing, pager, said, table, time } from './console-parts.js';

const filter = new Filter('audit', byId('audit-form'));
const details = byId('audit-form').closest('details');
details.open = matchMedia('(min-width: 56rem)').matches;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export async function show(parameters, options) {
  const given = filter.of(parameters);
  filter.fill(given);
  let page;
  try {
    page = await audit(given, { cursor: parameters.cursor }, options);
  } catch (error) {
    if (options.signal.aborted || !filter.refuse(error)) throw error;
    page = { events: [], next_cursor: null, refused: true };
  }
  if (options.signal.aborted) return '';
  const number = page.events.length;
  const whole = !page.next_cursor && !parameters.cursor;
  say(byId('audit-found'), page.refused ? '' : number === 0 ? 'No event matches.' : `${capital(count(number, 'event'))}${whole ? '' : ' on this page'}, newest first.`);
  byId('audit-table').replaceChildren(...(number === 0 ? [] : [table('Events', COLUMNS, page.events)]));
  byId('audit-pager').replaceChildren(pager('audit', { ...given, cursor: parameters.cursor }, page.next_cursor));
  return 'Audit log';
}

const COLUMNS = [
  ['When', ({ at: when }) => time(when)],
  ['What', ({ event, detail }) => lines(el('code', {}, event), wordsOf(detail))],
  ['By', ({ actor }) => (UUID.test(actor ?? '') ? personLink(actor) : said(actor ?? ''))],
  ['To', ({ user_id: user, session_id: session }) => lines(user && personLink(user), session && sessionLink(session))],
  ['From', ({ ip }) => (ip ? said(ip) : nothing())],
  ['Request', ({ request_id: request }) => (request ? el('code', { class: 'id', title: request }, short(request)) : nothing('none'))],
];

function personLink(id) {
  return link(at('person', { id }), short(id), { class: 'id', title: id, 'aria-label': `Account ${short(id)}` });
}

function sessionLink(id) {
  return link(at('audit', { session: id }), `session ${short(id)}`, { class: 'id', title: id });
}

/** The end of an id is what differs. */
const short = (id) => `…${String(id).slice(-8)}`;

/** What an event tells beyond its name: a text, or named values. */
function wordsOf(detail) {
  if (detail === null || detail === undefined || typeof detail === 'string') return detail;
  return Object.entries(detail).map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`).join(', ');
}
