// Owns how a form behaves on every page: empty fields, errors beside the field, results, one submission at a time.
// Must never send a request itself, and never put text into a page other than as text.

import { gauge } from './strength.js';

/** Where a refusal that names no field belongs. */
const FIELD_OF = { 'wrong-password': 'current_password', 'email-taken': 'email' };

/** Shows `text` in a live region; `tone` is '', 'good' or 'bad'. */
export function say(region, text, tone = '') {
  region.textContent = text;
  region.dataset.tone = tone;
}

/**
 * Runs `submit(values, wait)` for each submission; `wait` is to be handed to the api as `onWait`.
 * What `submit` throws is shown at its field, else in the form's `.result`; `handle(error)` may take it first by answering true.
 */
export function wire(form, submit, handle = () => false) {
  const result = form.querySelector('.result');
  let running = false;
  wireShowButtons(form);
  form.querySelectorAll('input[autocomplete=new-password]').forEach(gauge);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (running) return;
    clearErrors(form);
    if (!everythingIsThere(form)) return;
    running = true;
    setBusy(form, true);
    try {
      await submit(Object.fromEntries(new FormData(form)), (text) => say(result, text));
    } catch (error) {
      if (!handle(error)) showProblem(form, error);
    } finally {
      running = false;
      setBusy(form, false);
    }
  });
}

/** Empties a form and whatever it said. */
export function clear(form) {
  form.reset();
  clearErrors(form);
  for (const button of form.querySelectorAll('button.show')) show(button, false);
}

/** Puts an error beside the field called `name`; false when the form has no such field. */
export function showFieldError(form, name, text) {
  const input = form.elements.namedItem(name);
  const place = input && form.querySelector(`#${CSS.escape(input.id)}-error`);
  if (!place) return false;
  place.textContent = text;
  input.setAttribute('aria-invalid', 'true');
  return true;
}

function clearErrors(form) {
  say(form.querySelector('.result'), '');
  for (const place of form.querySelectorAll('.error')) place.textContent = '';
  for (const input of form.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
}

function everythingIsThere(form) {
  for (const input of form.querySelectorAll('input[required]')) {
    if (input.value === '') showFieldError(form, input.name, input.dataset.missing);
  }
  return !focusFirstError(form);
}

function showProblem(form, error) {
  const errors = error.errors?.length ? error.errors : [{ field: FIELD_OF[error.slug], detail: error.message }];
  const homeless = errors.filter(({ field, detail }) => !field || !showFieldError(form, field, sentence(detail)));
  if (homeless.length > 0) say(form.querySelector('.result'), error.message, 'bad');
  focusFirstError(form);
}

function focusFirstError(form) {
  const first = form.querySelector('[aria-invalid]');
  first?.focus();
  return first !== null;
}

function sentence(detail) {
  const text = String(detail ?? '').trim();
  if (text === '') return 'Please change this.';
  return text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
}

// The button is not disabled while it waits: that would take the keyboard focus away from it.
function setBusy(form, busy) {
  form.setAttribute('aria-busy', String(busy));
  form.querySelector('[type=submit]').setAttribute('aria-disabled', String(busy));
}

function wireShowButtons(form) {
  for (const button of form.querySelectorAll('button.show')) {
    button.addEventListener('click', () => show(button, button.getAttribute('aria-pressed') !== 'true'));
  }
}

function show(button, visible) {
  button.setAttribute('aria-pressed', String(visible));
  document.getElementById(button.getAttribute('aria-controls')).type = visible ? 'text' : 'password';
}
