// Owns the view of all live sessions: narrowed by a filter that stands in the address, and ended one by one.
// Must never show a session that was not asked for just now.

import { say } from './form.js';
import { endSession, sessionsBy } from './admin-api.js';
import { change, unlessGone, waiting } from './console-acts.js';
import { Filter } from './console-filter.js';
import { endAllThatMatch } from './console-revoke.js';
import { ACTION, at, badge, button, byId, capital, count, deviceOf, lines, link, networkOf, nothing, pager, placeOf, riskOf, said, table, time } from './console-parts.js';

const filter = new Filter('sessions', byId('sessions-form'));
const found = byId('sessions-found');
const details = byId('sessions-form').closest('details');
details.open = matchMedia('(min-width: 56rem)').matches;
byId('sessions-end').addEventListener('click', () => endAllThatMatch(current, filter.words(current)));
/** IPv6 may need two lines; IPv4 does not. */
const SHORT = 15;
let current = {};

export async function show(parameters, options) {
  current = filter.of(parameters);
  filter.fill(current);
  byId('sessions-end').hidden = true;
  byId('sessions-hint').hidden = Object.keys(current).length > 0;
  let page;
  try {
    page = await sessionsBy(current, { cursor: parameters.cursor }, options);
  } catch (error) {
    if (options.signal.aborted || !filter.refuse(error)) throw error;
    page = { sessions: [], next_cursor: null, refused: true };
  }
  if (options.signal.aborted) return '';
  const number = page.sessions.length;
  say(found, page.refused ? '' : wordsOf(number, page.next_cursor, parameters.cursor));
  byId('sessions-table').replaceChildren(...(number === 0 ? [] : [sessionTable('Live sessions', page.sessions)]));
  byId('sessions-pager').replaceChildren(pager('sessions', { ...current, cursor: parameters.cursor }, page.next_cursor));
  byId('sessions-end').hidden = Object.keys(current).length === 0 || (number === 0 && !page.next_cursor);
  return 'Sessions';
}

/** A page can be empty before the last one: the service looks at a bounded number of sessions for each. */
function wordsOf(number, next, cursor) {
  if (number === 0 && next) return 'No match on this page; the next page may have some.';
  if (number === 0) return 'No live session matches.';
  return `${capital(count(number, 'session'))}${next || cursor ? ' on this page' : ''}, newest first.`;
}

/** Live sessions; of one person alone, `whose` leaves out who it is. */
export function sessionTable(caption, sessions, { whose = true, marked = [] } = {}) {
  const columns = [
    ['Where', whereOf],
    ['Address', addressOf],
    ['Device', (session) => lines(deviceOf(session), actorOf(session.actor) || (session.remember ? 'stays signed in' : ''))],
    ['Last seen', (session) => time(session.last_seen_at)],
    ['Signed in', (session) => time(session.created_at)],
    ['Risk', (session) => riskOf(session.risk)],
    [ACTION, (session) => (session.current ? badge('This session', 'here') : endButton(session))],
  ];
  if (whose) columns.unshift(['Who', whoOf]);
  return table(caption, columns, sessions, { mark: (session) => marked.includes(session.id) });
}

/** Who acts in it for the user, and why; empty in the user's own sessions. */
function actorOf(actor) {
  return actor ? [`${actor.kind} ${actor.id} acts`, actor.reason].filter(Boolean).join(': ') : '';
}

/** Where it is; and where it was signed in, if that is another country or network. */
export function whereOf(session) {
  const now = { country: session.last_country, city: session.last_city, asn: session.last_asn, network: session.last_network };
  const moved = session.ip !== session.sign_in_ip && (now.country !== session.country || now.asn !== session.asn);
  if (!moved) return lines(placeOf(now) || placeOf(session), networkOf(now) || networkOf(session));
  const first = [placeOf(session), networkOf(session)].filter(Boolean).join(', ');
  return lines(placeOf(now) || 'unknown place', [networkOf(now), first && `signed in from ${first}`].filter(Boolean).join(' · '));
}

export const whoOf = (session) => link(at('person', { id: session.user_id }), said(session.user_email || session.user_id));

function addressOf({ ip, sign_in_ip: first }) {
  if (!ip) return nothing();
  return lines(link(at('sessions', { ip }), said(ip), { title: 'All sessions at this address', class: ip.length <= SHORT ? 'id' : null }), first && first !== ip ? `signed in from ${first}` : '');
}

function endButton(session) {
  const what = `${deviceOf(session)}, ${session.ip ?? 'address unknown'}`;
  const whose = session.user_email ? ` of ${session.user_email}` : '';
  const question = {
    title: 'End this session?',
    text: `The session${whose} (${what}) ends at once, everywhere.`,
    action: 'End session',
  };
  const end = change(question, () => unlessGone(endSession(session.id, waiting)), `The session${whose} (${what}) has ended.`);
  return button('End', end, { danger: true, name: `End the session${whose}: ${what}` });
}
