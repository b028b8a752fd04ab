// Owns every request to the service: the only file that calls fetch, and the words people read when one fails.
// Must never keep anything in web storage, and never take a busy or unreachable service for a sign-out.

const BASE = new URL('..', import.meta.url);
const PROBLEM = 'urn:sessiond:problem:';
const DEADLINE_MS = 30_000;
const LONGEST_WAIT = 120;
const WRITE_RETRIES = 5;

const WORDS = {
  'unauthenticated': 'Your session has ended. Please sign in again.',
  'wrong-credentials': 'The e-mail address or the password is not right.',
  'wrong-password': 'That is not your current password.',
  'step-up-required': 'Please confirm with your password first.',
  'forbidden-origin': 'This page was opened from an address the service does not accept. Open it from its usual address.',
  'forbidden': 'Your account is not allowed to do this.',
  'registration-closed': 'New accounts cannot be made here at the moment.',
  'not-found': 'This does not exist any more.',
  'last-administrator': 'This is the last administrator who can sign in. Make another one first.',
  'email-taken': 'There is an account with this e-mail address already. Sign in instead.',
  'too-many-sessions': 'You are signed in in too many places. End a session in one of them, then try again.',
  'invalid-body': 'Please look through what you entered.',
  'unconfirmed': 'The service is busy: this is done, but not yet confirmed everywhere. Please try again in a moment.',
  'unreachable': 'The service cannot be reached. Check your connection and try again.',
};

const WORDS_BY_STATUS = {
  401: WORDS['unauthenticated'],
  403: WORDS['forbidden'],
  404: WORDS['not-found'],
  409: 'This cannot be done right now, because something else stands in its way.',
  422: WORDS['invalid-body'],
  503: 'The service is busy. Please try again in a moment.',
};

/** A request that was not answered with success; `message` is written for people. Status 0: no answer came. */
export class ApiError extends Error {
  constructor({ status, slug = '', title = '', detail = '', errors = [], retryAfter = null, outcome = null }) {
    super(WORDS[slug] ?? WORDS_BY_STATUS[status] ?? 'Something went wrong on our side. Please try again later.');
    this.name = 'ApiError';
    Object.assign(this, { status, slug, title, detail, errors, retryAfter, outcome });
  }
}

// Every call takes `{ onWait }` last: it is given a sentence before each pause that precedes another attempt.

/** `{user, session}` of whoever is signed in here; an ApiError with status 401 when nobody is. */
export const me = (options) => call('GET', 'me', options);

/** Signs in: `{email, password, remember}`. The session itself arrives in a cookie no script can read. */
export const login = (credentials, options) => call('POST', 'login', { ...options, body: credentials });

/** Makes an account: `{email, password, name?}`. It does not sign in. */
export const register = (account, options) => call('POST', 'register', { ...options, body: account });

/** Ends this session. */
export const logout = (options) => call('POST', 'logout', options);

/** `{sessions}` of the signed-in user, this one among them. */
export const sessions = (options) => call('GET', 'sessions', options);

/** Ends one session; status 404 when it is gone already. */
export const revoke = (id, options) => call('DELETE', `sessions/${encodeURIComponent(id)}`, options);

/** Ends every session but this one: `{revoked}`. */
export const revokeOthers = (options) => call('DELETE', 'sessions', options);

/** Changes the display name; null removes it. */
export const rename = (name, options) => call('PATCH', 'me', { ...options, body: { name } });

/** Changes the password; the service ends all other sessions and renews this one. */
export const changePassword = (current, next, options) =>
  call('PUT', 'me/password', { ...options, onlyOnce: true, body: { current_password: current, new_password: next } });

/** Proves again who is signed in; the service renews this session. */
export const reauthenticate = (password, options) =>
  call('POST', 'reauthenticate', { ...options, onlyOnce: true, body: { password } });

/** Chooses a new password with the token of a reset link. */
export const resetPassword = (token, next, options) =>
  call('POST', 'reset', { ...options, onlyOnce: true, body: { token, new_password: next } });

/** One request; `signal` says that nobody waits for the answer any more. What administrators ask is in admin-api.js. */
export async function call(method, path, { body, onWait = () => {}, onlyOnce = false, signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send(method, path, body);
    } catch (error) {
      if (signal?.aborted || !mayRetry(error, method, attempt, onlyOnce)) throw error;
      const seconds = waitBefore(error, attempt);
      onWait(waitWords(error, seconds));
      await new Promise((resume) => setTimeout(resume, seconds * 1000));
      if (signal?.aborted) throw error;
    }
  }
}

/** Reading is repeated for as long as the service is away; a change only after its own "not now" (503), and a few times. */
function mayRetry(error, method, attempt, onlyOnce) {
  if (!(error instanceof ApiError)) return false;
  if (method === 'GET') return [0, 502, 503, 504].includes(error.status);
  // `unconfirmed` says the change has been made: the old password or the reset token would not be taken a second time.
  if (onlyOnce && error.slug === 'unconfirmed') return false;
  return error.status === 503 && attempt <= WRITE_RETRIES;
}

/** What the service asked for, growing when it stays away, and spread so that not everybody returns at once. */
function waitBefore(error, attempt) {
  const growing = Math.min(2 ** (attempt - 1), 30);
  return Math.min(Math.max(error.retryAfter ?? 1, growing), LONGEST_WAIT) + Math.random() * 0.5;
}

function waitWords(error, seconds) {
  const whole = Math.round(seconds);
  const reason = error.status === 503 ? 'The service is busy.' : 'The service cannot be reached.';
  return `${reason} Trying again in ${whole} ${whole === 1 ? 'second' : 'seconds'}…`;
}

async function send(method, path, body) {
  const headers = { Accept: 'application/json, application/problem+json' };
  if (method !== 'GET') headers['X-Requested-With'] = 'sessiond';
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(new URL(path, BASE), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    if (response.status === 204) return null;
    if (response.ok) return await response.json();
  } catch {
    throw new ApiError({ status: 0, slug: 'unreachable' });
  }
  throw await problemOf(response);
}

async function problemOf(response) {
  const body = await response.json().catch(() => null);
  const problem = body !== null && typeof body === 'object' ? body : {};
  const type = String(problem.type ?? '');
  return new ApiError({
    status: response.status,
    slug: type.startsWith(PROBLEM) ? type.slice(PROBLEM.length) : '',
    title: String(problem.title ?? ''),
    detail: String(problem.detail ?? ''),
    errors: Array.isArray(problem.errors) ? problem.errors : [],
    retryAfter: secondsOf(response.headers.get('Retry-After')),
    outcome: problem.outcome ?? null,
  });
}

/** Retry-After is a number of seconds or a date. */
function secondsOf(value) {
  if (value === null || value.trim() === '') return null;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : null;
}
