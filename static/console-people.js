// Owns the view in which people are found.
// Must never list anybody who was not asked for just now.

import { say } from './form.js';
import { users } from './admin-api.js';
import { Filter } from './console-filter.js';
import { at, badge, byId, capital, count, el, lines, link, nothing, pager, said, table, time } from './console-parts.js';

const filter = new Filter('people', byId('people-form'));

export async function show(parameters, options) {
  const { query = '' } = filter.of(parameters);
  filter.fill(filter.of(parameters));
  let page;
  try {
    page = await users({ query, cursor: parameters.cursor }, options);
  } catch (error) {
    if (options.signal.aborted || !filter.refuse(error)) throw error;
    page = { users: [], next_cursor: null, refused: true };
  }
  if (options.signal.aborted) return '';
  const number = page.users.length;
  const whole = !page.next_cursor && !parameters.cursor;
  say(byId('people-found'), page.refused ? '' : number === 0 ? 'No account matches.' : `${capital(count(number, 'account'))}${whole ? '' : ' on this page'}.`);
  byId('people-table').replaceChildren(...(number === 0 ? [] : [table('Accounts', COLUMNS, page.users)]));
  byId('people-pager').replaceChildren(pager('people', { query, cursor: parameters.cursor }, page.next_cursor));
  return 'People';
}

const COLUMNS = [
  ['Who', (user) => lines(link(at('person', { id: user.id }), said(user.email ?? user.subject)), [user.name, user.subject && `subject ${user.subject}`].filter(Boolean).join(', '))],
  ['State', stateOf],
  ['Live sessions', (user) => (user.live_sessions ? String(user.live_sessions) : nothing('none'))],
  ['Member since', (user) => time(user.created_at)],
];

/** What an account is, beyond an ordinary one. */
export function badgesOf(user) {
  const badges = [];
  if (user.roles.includes('admin')) badges.push(badge('Administrator'));
  if (user.subject !== null) badges.push(badge('Of an application'));
  if (user.disabled_at) badges.push(badge('Disabled', 'bad'));
  return badges;
}

function stateOf(user) {
  const badges = badgesOf(user);
  return badges.length === 0 ? nothing('ordinary') : el('div', { class: 'badges' }, ...badges);
}
