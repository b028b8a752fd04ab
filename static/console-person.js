// Owns the view of one account: what it is, where it is signed in, what was strange, what was, and what can be done to it.
// Must never delete an account whose address was not typed.

import { say } from './form.js';
import { alerts, deleteUser, endSessionsOf, impersonate, setEnabled, setRoles, user as ask } from './admin-api.js';
import { actAs, change, unlessGone, waiting } from './console-acts.js';
import { alertList } from './console-alerts.js';
import { badgesOf } from './console-people.js';
import { sessionTable, whereOf } from './console-sessions.js';
import { at, button, byId, capital, count, deviceOf, el, facts, lines, link, open, said, table, time } from './console-parts.js';

/** So many of the newest alerts are shown; the others are a link away. */
const ALERTS = 20;

const REASONS = {
  signed_out: 'signed out', signed_out_elsewhere: 'ended by its owner from elsewhere', revoked: 'ended by an administrator',
  password_changed: 'password changed', password_reset: 'password reset', disabled: 'account disabled', roles_changed: 'roles changed',
  evicted: 'over the session limit', replaced: 'signed in again', device_changed: 'used by another device', suspicious: 'suspicious',
  ledger_restored: 'database restored', user_deleted: 'account deleted', expired: 'expired',
};

export async function show({ id = '', sessions: named = '' }, options, me) {
  const [found, strange] = await Promise.all([ask(id, options), alerts({ state: 'all', user: id, limit: ALERTS }, options)]);
  if (options.signal.aborted) return '';
  const { user, sessions, history } = found;
  const marked = named.split(',');
  byId('person-title').replaceChildren(said(user.name ?? user.email ?? user.subject));
  byId('person-facts').replaceChildren(
    ...facts(said(user.email ?? ''), user.subject === null ? '' : said(`subject ${user.subject}`), el('span', {}, 'member since ', time(user.created_at)), ...(user.disabled_at ? [el('span', {}, 'disabled since ', time(user.disabled_at))] : [])),
    ...badgesOf(user),
  );
  byId('person-acts').replaceChildren(...actsOn(user, sessions, me));
  fillSessions(sessions.map((session) => ({ ...session, user_email: session.user_email ?? user.email ?? user.subject })), marked);
  fillAlerts(strange.alerts);
  fillHistory(history, marked);
  byId('person-alerts-all').replaceChildren(...(strange.next_cursor ? [link(at('alerts', { user: user.id, state: 'all' }), 'All alerts about this account')] : []));
  byId('person-audit').replaceChildren(link(at('audit', { user: user.id }), 'Audit log of this account'));
  return user.name ?? user.email ?? user.subject;
}

function actsOn(user, sessions, me) {
  const self = user.id === me.id;
  const out = self ? ' This is your own account, so you are signed out here, too.' : '';
  const who = user.email ?? user.subject;
  const admin = user.roles.includes('admin');
  const roles = admin ? user.roles.filter((role) => role !== 'admin') : [...user.roles, 'admin'];
  const endAll = change(
    { title: 'End all sessions?', text: `${who} is signed out everywhere at once, and may sign in again.${out}`, action: 'End all sessions' },
    () => endSessionsOf(user.id, waiting), (answer) => `${capital(count(answer?.revoked ?? 0, 'session'))} of ${who} ended.`,
  );
  const disable = change(
    { title: 'Disable this account?', text: `${who} is signed out everywhere at once and cannot sign in until it is enabled.${out}`, action: 'Disable' },
    () => setEnabled(user.id, false, waiting), `${who} is disabled; all sessions have ended.`,
  );
  const enable = change(
    { title: 'Enable this account?', text: `${who} can sign in again. Sessions that have ended stay ended.`, action: 'Enable' },
    () => setEnabled(user.id, true, waiting), `${who} can sign in again.`,
  );
  const grant = change(
    {
      title: admin ? 'Remove the role?' : 'Make an administrator?',
      text: `${who} ${admin ? 'can no longer' : 'can then'} see and end the sessions of all users. Every session of this account ends.${out}`,
      action: admin ? 'Remove role' : 'Make administrator',
    },
    () => setRoles(user.id, roles, waiting), `${who} is ${admin ? 'no longer an administrator' : 'an administrator now'}; all sessions have ended.`,
  );
  const remove = change(
    { title: 'Delete this account?', text: `Every session of ${who} ends, and all data of this person is deleted. This cannot be undone.${out}`, action: 'Delete for good', type: who },
    async () => { await unlessGone(deleteUser(user.id, waiting)); open(at('people')); }, `${who} is deleted.`,
  );
  const act = actAs(
    {
      title: `Act as ${who}?`,
      text: 'You see what this user sees, for an hour at most, and cannot change the account. The user sees that you do, and why. Your own session ends: sign in again afterwards.',
      action: 'Act as this user',
    },
    (reason) => impersonate(user.id, reason, waiting),
  );
  return [
    ...(admin || user.disabled_at ? [] : [button('Act as this user…', act)]),
    ...(sessions.length > 0 ? [button('End all sessions', endAll, { danger: true })] : []),
    user.disabled_at ? button('Enable', enable) : button('Disable', disable, { danger: true }),
    button(admin ? 'Remove administrator role' : 'Make administrator', grant),
    button('Delete…', remove, { danger: true }),
  ];
}

function fillSessions(sessions, marked) {
  say(byId('person-found'), sessions.length === 0 ? 'Not signed in anywhere.' : `${capital(count(sessions.length, 'live session'))}.`);
  byId('person-sessions').replaceChildren(...(sessions.length === 0 ? [] : [sessionTable('Live sessions', sessions, { whose: false, marked })]));
}

function fillAlerts(theirs) {
  byId('person-alerts').replaceChildren(theirs.length === 0 ? el('p', { class: 'facts' }, 'No alerts.') : alertList(theirs, { level: 'h3', whose: false }));
}

function fillHistory(history, marked) {
  const columns = [
    ['Where', whereOf],
    ['Address', (session) => lines(session.ip, session.sign_in_ip !== session.ip ? `signed in from ${session.sign_in_ip}` : '')],
    ['Device', (session) => said(deviceOf(session))],
    ['Signed in', (session) => time(session.created_at)],
    ['Last seen', (session) => time(session.last_seen_at)],
    ['Ended', (session) => lines(time(session.ended_at), Object.hasOwn(REASONS, session.end_reason) ? REASONS[session.end_reason] : session.end_reason)],
  ];
  const shown = history.length === 0 ? el('p', { class: 'facts' }, 'None.') : table('Ended sessions, newest first', columns, history, { mark: (session) => marked.includes(session.id) });
  byId('person-history').replaceChildren(shown);
}
