// Owns what only administrators ask of the service: accounts, sessions by filter, alerts, the audit trail.
// Must never call fetch itself, nor keep what was answered.

import { call } from './sessiond.js';

const id = encodeURIComponent;

// Every call takes `{ onWait, signal }` last, as in sessiond.js.

/** `{users, next_cursor}`: accounts whose e-mail address or name is like `query`. */
export const users = ({ query, cursor, limit }, options) => call('GET', `admin/users${search({ query, cursor, limit })}`, options);

/** `{user, sessions, history}` of one account. */
export const user = (whom, options) => call('GET', `admin/users/${id(whom)}`, options);

/** Lets an account sign in, or ends its sessions and does not. */
export const setEnabled = (whom, enabled, options) => call('POST', `admin/users/${id(whom)}/${enabled ? 'enable' : 'disable'}`, options);

/** Acts for a user, and says why: the browser's session is the user's then. */
export const impersonate = (whom, reason, options) => call('POST', `admin/users/${id(whom)}/impersonate`, { ...options, onlyOnce: true, body: { reason } });

/** Says what an account may do; its sessions end. */
export const setRoles = (whom, roles, options) => call('PUT', `admin/users/${id(whom)}/roles`, { ...options, body: { roles } });

/** Ends every session of an account, then deletes it; status 404 when it is gone already. */
export const deleteUser = (whom, options) => call('DELETE', `admin/users/${id(whom)}`, options);

/** Ends every session of an account: `{revoked}`. */
export const endSessionsOf = (whom, options) => call('DELETE', `admin/users/${id(whom)}/sessions`, options);

/** `{sessions, next_cursor}`: live sessions that match a filter, the newest first. */
export const sessionsBy = (filter, page, options) => call('GET', `admin/sessions${search({ ...inBrackets(filter), ...page })}`, options);

/** Ends one session, of whomever; status 404 when it is gone already. */
export const endSession = (which, options) => call('DELETE', `admin/sessions/${id(which)}`, options);

/**
 * Ends one page of the sessions that match, or counts them: `{matched, revoked, unconfirmed, more}`. That some are not
 * confirmed yet is an answer like another, and has to be asked for again.
 */
export async function endByFilter(body, options) {
  try {
    return await call('POST', 'admin/sessions/revoke', { ...options, onlyOnce: true, body });
  } catch (error) {
    if (error.slug !== 'unconfirmed' || !error.outcome) throw error;
    return { ...error.outcome, retryAfter: error.retryAfter ?? 1 };
  }
}

/** `{alerts, next_cursor}`, of everybody or of one account, the newest first. */
export const alerts = ({ state, user: whose, cursor, limit }, options) => call('GET', `admin/alerts${search({ state, 'filter[user]': whose, cursor, limit })}`, options);

/** Says that somebody has seen to an alert. */
export const acknowledge = (which, options) => call('POST', `admin/alerts/${id(which)}/acknowledge`, options);

/** `{events, next_cursor}`: what happened, the newest first. */
export const audit = (filter, page, options) => call('GET', `admin/audit${search({ ...inBrackets(filter), ...page })}`, options);

function inBrackets(filter) {
  return Object.fromEntries(Object.entries(filter).map(([name, value]) => [`filter[${name}]`, value]));
}

function search(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
