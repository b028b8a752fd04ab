// Owns the forms by which lists are narrowed: what stands in the address, in the form, and in words.
// Must never decide what a value means: the service does, and its refusal is shown beside the field.

import { clear, showFieldError, wire } from './form.js';
import { at, byId, link, open } from './console-parts.js';

const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

/** A form that narrows the list of `view`; every field's name is the filter's. */
export class Filter {
  constructor(view, form) {
    Object.assign(this, { view, form, chips: byId(`${view}-chips`) });
    wire(form, async (values) => open(at(view, this.#given(values))));
    form.querySelector('.reset')?.addEventListener('click', () => open(at(view)));
  }

  /** What of the address is filter, in the order of the form. */
  of(parameters) {
    return Object.fromEntries(this.#names().filter((name) => parameters[name]).map((name) => [name, parameters[name]]));
  }

  /** Puts a filter into the form, and above the list in words, each with a way to do without it. */
  fill(filter) {
    clear(this.form);
    for (const [name, value] of Object.entries(filter)) {
      const input = this.form.elements.namedItem(name);
      input.value = isTime(input) ? inLocalTime(value) : value;
    }
    const chips = Object.entries(filter).map(([name, value]) => link(
      at(this.view, { ...filter, [name]: '' }), this.#inWords(name, value), { class: 'chip', 'aria-label': `Without: ${this.#inWords(name, value)}` },
    ));
    this.chips?.replaceChildren(...chips);
  }

  /** A filter as a sentence would have it. */
  words(filter) {
    return Object.entries(filter).map(([name, value]) => this.#inWords(name, value)).join(', ');
  }

  /** Shows a refusal beside its fields; false if it is about something else. */
  refuse(error) {
    if (![400, 422].includes(error.status)) return false;
    const shown = (error.errors ?? []).filter(({ field, detail }) => showFieldError(this.form, nameIn(field), detail));
    this.form.closest('details')?.setAttribute('open', '');
    this.form.querySelector('[aria-invalid]')?.focus();
    return shown.length > 0;
  }

  #names() {
    return [...this.form.elements].map((input) => input.name).filter(Boolean);
  }

  #given(values) {
    const filled = Object.entries(values).map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== '');
    return Object.fromEntries(filled.map(([name, value]) => {
      const input = this.form.elements.namedItem(name);
      return [name, isTime(input) ? new Date(value).toISOString() : value];
    }));
  }

  #inWords(name, value) {
    const input = this.form.elements.namedItem(name);
    const label = input.labels[0].firstChild.textContent.trim();
    return `${label} ${isTime(input) && !Number.isNaN(Date.parse(value)) ? moment.format(new Date(value)) : value}`;
  }
}

const isTime = (input) => input.type === 'datetime-local';

/** `filter[ip]` and `filter.ip` are the field `ip`. */
const nameIn = (field) => String(field ?? '').replace(/^filter[.[]|\]$/g, '');

/** An instant as the field for local times wants it; one that is none stays away. */
function inLocalTime(text) {
  const instant = new Date(text);
  if (Number.isNaN(instant.getTime())) return '';
  return new Date(instant.getTime() - instant.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
