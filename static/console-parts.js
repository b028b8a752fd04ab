// Owns how the console shows things: elements, times, places, tables, the way to the next page.
// Must never make an element from text, nor link to anywhere but the console's own views.

const local = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const countries = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' });
const KINDS = { desktop: 'Computer', mobile: 'Phone or tablet', program: 'Program', unknown: 'Unknown device' };

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; a child that is a string is text, whatever stands in it. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The address of a view: everything stands behind the `#`, where this page alone reads it. */
export function at(view, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return given.length === 0 ? `#${view}` : `#${view}?${new URLSearchParams(given)}`;
}

/** Goes to a view; to the one that is shown, too: then it is asked for again. */
export function open(address) {
  if (location.hash === address) dispatchEvent(new Event('hashchange'));
  else location.hash = address;
}

/** Asks again for the view that is shown. */
export const again = () => dispatchEvent(new Event('hashchange'));

export const link = (address, text, attributes = {}) => el('a', { href: address, ...attributes }, text);

/** A button that does something; `name` says what to whom, for those who do not see where it stands. */
export function button(text, action, { danger = false, name, ...attributes } = {}) {
  const made = el('button', { type: 'button', class: danger ? 'quiet danger small' : 'quiet small', 'aria-label': name, ...attributes }, text);
  made.addEventListener('click', action);
  return made;
}

export const badge = (text, tone = '') => el('span', { class: `badge ${tone}`.trim() }, text);

/** A moment as people here write it, with the exact one in UTC behind it. */
export function time(text) {
  const moment = new Date(text ?? '');
  if (Number.isNaN(moment.getTime())) return nothing();
  return el('time', { datetime: moment.toISOString(), title: `${moment.toISOString()} (UTC)` }, local.format(moment));
}

/** What stands where nothing is known. */
export const nothing = (word = 'unknown') => el('span', { class: 'none' }, word);

/** Text that somebody else chose: its direction cannot reach what stands beside it. */
export const said = (text) => el('bdi', {}, String(text));

export function countryName(code) {
  try {
    return countries.of(code) ?? code;
  } catch {
    return String(code);
  }
}

export function deviceOf({ device } = {}) {
  const { browser, os, kind } = device ?? {};
  if (browser && os) return `${browser} on ${os}`;
  return browser ?? os ?? (Object.hasOwn(KINDS, kind) ? KINDS[kind] : KINDS.unknown);
}

export function placeOf({ city, country }) {
  return [city, country && countryName(country)].filter(Boolean).join(', ');
}

export function networkOf({ asn, network }) {
  return [asn && `AS${asn}`, network].filter(Boolean).join(' ');
}

/** Two lines of one cell, the second one smaller; either may be missing. */
export function lines(first, second) {
  const parts = [first, second].filter((part) => part !== null && part !== '' && part !== undefined);
  if (parts.length === 0) return nothing();
  return el('div', {}, ...parts.map((part, n) => el('div', { class: n === 0 ? null : 'facts' }, part instanceof Node ? part : said(part))));
}

/** Small words beside each other, with a dot between. */
export const facts = (...parts) => parts.flatMap((part) => [el('span', {}, part), ' ']);

export const riskOf = (risk) => (risk ? badge(`Risk ${risk}`, 'bad') : nothing('none'));

/** The heading of the column with what can be done: not shown, but said. */
export const ACTION = 'Action';

/**
 * A table; `columns` is a list of `[heading, cell(row)]`. On a narrow screen its lines are cards, which would take away what
 * it is: so the roles are written out.
 */
export function table(caption, columns, rows, { mark = () => false } = {}) {
  const head = el('tr', { role: 'row' }, ...columns.map(([heading]) => el('th', { role: 'columnheader', scope: 'col' }, heading === ACTION ? el('span', { class: 'unseen' }, heading) : heading)));
  const body = rows.map((row) => el('tr', { role: 'row', class: mark(row) ? 'marked' : null, 'data-id': row.id },
    ...columns.map(([heading, cell], n) => el('td', { role: 'cell', class: heading === ACTION ? 'act' : n === 0 ? 'first' : null, 'data-heading': heading === ACTION ? '' : heading }, cell(row)))));
  return el('table', { role: 'table' },
    el('caption', {}, caption),
    el('thead', { role: 'rowgroup' }, head),
    el('tbody', { role: 'rowgroup' }, ...body));
}

/** The ways to the next page and back to the first; pages further back are the browser's own button. */
export function pager(view, parameters, next) {
  const ways = [];
  if (parameters.cursor) ways.push(link(at(view, { ...parameters, cursor: '' }), 'First page', { class: 'quiet small' }));
  if (next) ways.push(link(at(view, { ...parameters, cursor: next }), 'Next page', { class: 'quiet small', rel: 'next' }));
  return ways.length === 0 ? '' : el('nav', { class: 'pager', 'aria-label': 'Pages' }, ...ways);
}

/** `3 sessions`, `1 session`, `no sessions`. */
export function count(number, one, many = `${one}s`) {
  return number === 0 ? `no ${many}` : `${new Intl.NumberFormat('en').format(number)} ${number === 1 ? one : many}`;
}

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
