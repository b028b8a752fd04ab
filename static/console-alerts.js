// Owns what is strange: the list of alerts, with their reasons in words, and what is done about one.
// Must never say that an alert was seen to before somebody has said so.

import { say } from './form.js';
import { acknowledge, alerts, endSession } from './admin-api.js';
import { change, unlessGone, waiting } from './console-acts.js';
import { Filter } from './console-filter.js';
import { at, badge, button, byId, capital, count, el, facts, link, pager, said, time } from './console-parts.js';

const filter = new Filter('alerts', byId('alerts-form'));
const ACTIONS = { alert: 'no automatic action', step_up: 'password required', revoke: 'sessions ended' };

export async function show(parameters, options) {
  const { user, cursor } = parameters;
  const state = parameters.state ?? 'open';
  filter.fill(user ? { state, user } : { state });
  let page;
  try {
    page = await alerts({ state, user, cursor }, options);
  } catch (error) {
    if (options.signal.aborted || !filter.refuse(error)) throw error;
    page = { alerts: [], next_cursor: null, refused: true };
  }
  if (options.signal.aborted) return '';
  const number = page.alerts.length;
  const none = state === 'open' && !user ? 'There are no open alerts.' : 'No alert matches.';
  const whole = !page.next_cursor && !cursor;
  say(byId('alerts-found'), page.refused ? '' : number === 0 ? none : `${capital(count(number, 'alert'))}${whole ? '' : ' on this page'}, newest first.`);
  byId('alerts-list').replaceChildren(...(number === 0 ? [] : [alertList(page.alerts, { level: 'h2' })]));
  byId('alerts-pager').replaceChildren(pager('alerts', { state, user, cursor }, page.next_cursor));
  return 'Alerts';
}

/** Alerts under headings of this level. */
export function alertList(list, { level, whose = true }) {
  return el('ul', { class: 'alerts' }, ...list.map((alert) => alertOf(alert, level, whose)));
}

function alertOf(alert, level, whose) {
  const { id, user, sessions = [], signals = [] } = alert;
  const open = !alert.acknowledged_at;
  const person = at('person', { id: user?.id, sessions: sessions.join(',') });
  const gone = !user?.email;
  const heading = whose ? (gone ? 'A deleted account' : link(person, said(user.email))) : `${capital(count(signals.length, 'reason'))}`;
  const opened = [el('span', {}, 'opened ', time(alert.opened_at))];
  if (Object.hasOwn(ACTIONS, alert.action)) opened.push(ACTIONS[alert.action]);
  if (!open) opened.push(el('span', {}, 'acknowledged ', time(alert.acknowledged_at)));
  return el('li', { class: open ? 'alert open' : 'alert', 'data-id': id },
    el('div', { class: 'what' },
      el(level, {}, heading, ' ', badge(`Risk ${alert.risk}`, open ? 'bad' : '')),
      el('p', { class: 'facts' }, ...facts(...opened)),
      el('ul', { class: 'reasons' }, ...signals.map(({ rule, weight, reason }) => el('li', { title: `${rule}, weight ${weight}` }, said(reason)))),
      gone ? el('p', { class: 'facts' }, 'The sessions have ended, and the reasons were deleted with the account.') : null,
    ),
    el('div', { class: 'acts' },
      ...(whose && !gone ? [link(person, `Show ${count(sessions.length, 'session')}`, { class: 'quiet small' })] : []),
      ...(open && !gone && sessions.length > 0 ? [endButton(alert)] : []),
      ...(open ? [acknowledgeButton(alert)] : []),
    ));
}

const whoseIs = ({ user }) => user?.email || 'a deleted account';

function endButton(alert) {
  const number = count(alert.sessions.length, 'session');
  const ends = alert.sessions.length === 1 ? 'ends' : 'end';
  const question = {
    title: `End ${number}?`,
    text: `The ${number} of ${whoseIs(alert)} in this alert ${ends} at once, everywhere. The alert stays open.`,
    action: `End ${number}`,
  };
  const all = async () => {
    let gone = 0;
    for (const session of alert.sessions) {
      if ((await unlessGone(endSession(session, waiting).then(() => true))) === null) gone += 1;
    }
    return gone;
  };
  const done = (gone) => `${capital(count(alert.sessions.length - gone, 'session'))} of ${whoseIs(alert)} ended${gone > 0 ? `; ${gone} had ended already` : ''}.`;
  const text = alert.sessions.length === 1 ? 'End it' : 'End them';
  return button(text, change(question, all, done), { danger: true, name: `${text}: the ${number} of ${whoseIs(alert)}` });
}

function acknowledgeButton(alert) {
  const see = change(null, () => acknowledge(alert.id, waiting), `The alert about ${whoseIs(alert)} is acknowledged.`);
  return button('Acknowledge', see, { name: `Acknowledge the alert about ${whoseIs(alert)}` });
}
