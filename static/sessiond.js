// Owns what a page says to sessiond and hears of it: the only file that calls fetch or opens an event stream.
// Must never keep anything in web storage, and never take a busy or unreachable service for a sign-out.

/**
 * The client for pages: one module without dependencies, served by sessiond itself.
 *
 *     import { me, onEnded } from 'https://accounts.example.com/static/sessiond.js';
 *     onEnded(({ reason }) => location.reload());
 *     const { user } = await me();
 *
 * Import it from where sessiond serves it: all addresses are relative to the module's own. A page of another origin has
 * to be named in SESSIOND_ORIGIN. Every function that asks the service takes {@link Options} last and rejects with a
 * {@link SessiondError}; docs/pages.md has the whole.
 * @module sessiond
 */

/** @typedef {{ id: string, email: string | null, email_verified: boolean, name: string | null, roles: string[], subject: string | null, claims: Record<string, unknown> | null, created_at: string }} User */
/** @typedef {{ kind: 'agent' | 'admin', id: string, reason: string | null }} Actor */
/** @typedef {{ browser: string | null, os: string | null, kind: 'desktop' | 'mobile' | 'program' | 'unknown' }} Device */
/**
 * A session as its owner sees it; times are RFC 3339.
 * @typedef {object} Session
 * @property {string} id good for nothing but naming it
 * @property {boolean} current whether it is the session that asks
 * @property {string} created_at
 * @property {string} last_seen_at
 * @property {string} authenticated_at when its owner last proved who they are
 * @property {string} expires_at
 * @property {string} idle_expires_at
 * @property {string | null} ip
 * @property {string | null} location where it was signed in from (`Lisbon, PT`), when known
 * @property {Device} device
 * @property {boolean} remember whether its cookie outlives the browser
 * @property {Actor | null} actor who acts in it for the user; null in the user's own sessions
 */
/** @typedef {{ field: string, detail: string }} FieldError */
/**
 * What every call takes last.
 * @typedef {object} Options
 * @property {((text: string) => void) | undefined} [onWait] is given a sentence for people before each pause that precedes another attempt
 * @property {AbortSignal | undefined} [signal] says that nobody waits for the answer any more: the call rejects with the signal's reason
 * @property {boolean | undefined} [background] the page asks by itself and nobody is at it: the question keeps no session alive
 */
/** @typedef {{ session: string, reason: string }} Ended `reason` is as in docs/pages.md; `ended` where it is not known */

const BASE = new URL('..', import.meta.url);
const PROBLEM = 'urn:sessiond:problem:';
const DEADLINE_MS = 30_000;
const LONGEST_WAIT = 120;
const WRITE_RETRIES = 5;
/** "Too many attempts" is waited for by itself when it is over in so many seconds, and so many times. */
const SHORT_WAIT = 5;
const SHORT_WAITS = 2;
/** The service gives a sign of life every 15 s. */
const SILENCE_MS = 45_000;
const LONGEST_PAUSE_MS = 30_000;
/** So long after a refusal the stream has said why, or the cookie that was just renewed has arrived. */
const SETTLE_MS = 500;
/** What can be asked without a session. */
const FREE = ['session', 'login', 'register', 'reset'];

/** @type {Record<string, string>} */
const WORDS = {
  'unauthenticated': 'You are not signed in. Please sign in.',
  'wrong-credentials': 'The e-mail address or the password is wrong.',
  'wrong-password': 'That is not your current password.',
  'step-up-required': 'Please confirm with your password first.',
  'forbidden-origin': 'This page was opened from an address the service does not accept. Open it from its usual address.',
  'forbidden': 'Your account is not allowed to do this.',
  'acting-session': 'This is for the user alone: somebody acts for the user in this session.',
  'cannot-impersonate': 'Administrators cannot be impersonated.',
  'registration-closed': 'Registration is closed at the moment.',
  'not-found': 'This no longer exists.',
  'last-administrator': 'This is the last administrator who can sign in. Make another user an administrator first.',
  'email-taken': 'An account with this e-mail address already exists. Sign in instead.',
  'too-many-sessions': 'You have too many sessions. Sign out somewhere else, then try again.',
  'invalid-body': 'Please check what you entered.',
  'unconfirmed': 'The service is busy: this is done, but not yet confirmed everywhere. Please try again in a moment.',
  'unreadable': 'The answer did not come from this service. Check your connection and try again.',
  'unreachable': 'The service cannot be reached. Check your connection and try again.',
};

/** @type {Record<number, string | undefined>} */
const WORDS_BY_STATUS = {
  401: WORDS['unauthenticated'],
  403: WORDS['forbidden'],
  404: WORDS['not-found'],
  409: 'This cannot be done right now because of a conflict.',
  422: WORDS['invalid-body'],
  503: 'The service is busy. Please try again in a moment.',
};

/**
 * @typedef {{ slug?: string, title?: string, detail?: string, errors?: FieldError[], retryAfter?: number | null, outcome?: any }} Particulars
 */

/** A request that was not answered with success; `message` is written for people, everything else for programs. */
export class SessiondError extends Error {
  /** @param {number} status @param {Particulars} [particulars] */
  constructor(status, { slug = '', title = '', detail = '', errors = [], retryAfter = null, outcome = null } = {}) {
    super(status === 429 ? tooMany(retryAfter) : (WORDS[slug] ?? WORDS_BY_STATUS[status] ?? 'Something went wrong on our side. Please try again later.'));
    this.name = 'SessiondError';
    /** The status of the answer; 0: no answer came. */
    this.status = status;
    /** The kind of problem: `unauthenticated`, `step-up-required`, `too-many-attempts`… */
    this.slug = slug;
    this.title = title;
    this.detail = detail;
    /** @type {FieldError[]} the fields that are not as they must be, each with a sentence for people */
    this.errors = errors;
    /** @type {number | null} seconds, where the service says when to come again */
    this.retryAfter = retryAfter;
    /** @type {any} how much of it is done, where it is about many */
    this.outcome = outcome;
  }
}

/** @param {number | null} seconds */
function tooMany(seconds) {
  if (seconds === null) return 'Too many attempts. Please try again later.';
  const [number, unit] = seconds < 90 ? [Math.max(1, Math.ceil(seconds)), 'second'] : [Math.ceil(seconds / 60), 'minute'];
  return `Too many attempts. Please try again in ${number} ${unit}${number === 1 ? '' : 's'}.`;
}

// --- what can be asked ----------------------------------------------------------------------------------------------

/**
 * Who is signed in here; rejects with status 401 when nobody is. From now on this tab is about that session.
 * @param {Options} [options] @returns {Promise<{ user: User, session: Session, csrf_token: string }>}
 */
export async function me(options) {
  const mine = known;
  // Not `/me`: browsers write an error into the console for each refusal, and that nobody is signed in is none.
  const ask = () => call('GET', 'session', options);
  let found = await ask();
  if (found === null && mine !== null) {
    const there = await survives(mine);
    options?.signal?.throwIfAborted();
    if (there) found = await ask();
  }
  if (found === null) throw new SessiondError(401, { slug: 'unauthenticated' });
  return adopt(found);
}

/**
 * Signs in. The session itself arrives in a cookie that no script can read.
 * @param {{ email: string, password: string, remember?: boolean }} credentials @param {Options} [options]
 * @returns {Promise<{ user: User, session: Session }>}
 */
export async function login(credentials, options) {
  entering += 1;
  try {
    return adopt(await call('POST', 'login', { ...options, body: credentials }));
  } finally {
    entering -= 1;
  }
}

/**
 * Makes an account. It does not sign in.
 * @param {{ email: string, password: string, name?: string }} account @param {Options} [options] @returns {Promise<{ user: User }>}
 */
export const register = (account, options) => call('POST', 'register', { ...options, body: account });

/**
 * Ends this session; every tab of this browser is told. When it rejects, nobody has been signed out.
 * @param {Options} [options] @returns {Promise<void>}
 */
export async function logout(options) {
  const mine = known;
  try {
    await call('POST', 'logout', { ...options, onlyOnce: true });
  } catch (error) {
    // It is over, and the service sees to it that every node knows.
    if (!(error instanceof SessiondError && error.slug === 'unconfirmed')) throw error;
  }
  end(mine, 'signed_out');
}

/** The sessions of who is signed in, this one among them. @param {Options} [options] @returns {Promise<{ sessions: Session[] }>} */
export async function sessions(options) {
  const mine = known;
  const answer = await call('GET', 'sessions', options);
  const current = answer.sessions.find((/** @type {Session} */ session) => session.current)?.id;
  // Somebody has signed in in another tab: this one's session is no more, and the list is not for it to show.
  if (mine !== null && current !== undefined && current !== mine) {
    end(mine, 'replaced');
    throw new SessiondError(401, { slug: 'unauthenticated' });
  }
  return answer;
}

/** Ends one session; one that has ended already is no error. Status 404: none of one's own has this id. @param {string} id @param {Options} [options] @returns {Promise<void>} */
export const revoke = (id, options) => call('DELETE', `sessions/${encodeURIComponent(id)}`, options);

/** Ends every session but this one; `revoked` is how many the last attempt ended. @param {Options} [options] @returns {Promise<{ revoked: number }>} */
export const revokeOthers = (options) => call('DELETE', 'sessions', options);

/** Ends every session in which an agent acts for the user. @param {Options} [options] @returns {Promise<{ revoked: number }>} */
export const revokeAgents = (options) => call('DELETE', 'sessions?actor=agent', options);

/** Changes the display name; null removes it. @param {string | null} name @param {Options} [options] @returns {Promise<{ user: User }>} */
export const rename = (name, options) => call('PATCH', 'me', { ...options, body: { name } });

/**
 * Changes the password; every other session ends.
 * @param {string} current @param {string} next @param {Options} [options] @returns {Promise<{ session: Session }>}
 */
export const changePassword = (current, next, options) =>
  call('PUT', 'me/password', { ...options, onlyOnce: true, body: { current_password: current, new_password: next } });

/** Proves again who is signed in. @param {string} password @param {Options} [options] @returns {Promise<{ session: Session }>} */
export const reauthenticate = (password, options) => call('POST', 'reauthenticate', { ...options, onlyOnce: true, body: { password } });

/** Chooses a new password with the token of a reset link. @param {string} token @param {string} next @param {Options} [options] @returns {Promise<void>} */
export const resetPassword = (token, next, options) =>
  call('POST', 'reset', { ...options, onlyOnce: true, body: { token, new_password: next } });

// --- what is heard --------------------------------------------------------------------------------------------------

/** @type {Set<(ended: Ended) => void>} */
const whenEnded = new Set();
/** @type {Set<() => void>} */
const whenChanged = new Set();
/** @type {((error: SessiondError) => Promise<boolean>) | null} */
let prove = null;
/** @type {Promise<boolean> | null} */
let proving = null;

/**
 * `callback` is called once when the session of this tab has ended, wherever it was ended, within milliseconds and without
 * a request. Gives a function that stops it. The tab's session is that of the last `me()` or `login()`.
 * @param {(ended: Ended) => void} callback @returns {() => void}
 */
export const onEnded = (callback) => listen(whenEnded, callback);

/**
 * `callback` is called when the list of this user's sessions may be another one: one began, or another one has ended. Once
 * at first, too, so that nothing is missed between the page's own look and the stream. Ask with `{ background: true }`.
 * @param {() => void} callback @returns {() => void}
 */
export const onSessionsChanged = (callback) => listen(whenChanged, callback);

/**
 * `hook` is called when a change wants a recent proof of who asks (403 `step-up-required`). It asks the person, calls
 * {@link reauthenticate} and resolves to true: the change is then made once more; on false it rejects as it was refused.
 * @param {(error: SessiondError) => Promise<boolean>} hook @returns {() => void}
 */
export function onStepUp(hook) {
  prove = hook;
  return () => { if (prove === hook) prove = null; };
}

/** @template T @param {Set<T>} set @param {T} callback */
function listen(set, callback) {
  set.add(callback);
  tend();
  return () => { set.delete(callback); tend(); };
}

/** @template T @param {Set<(value: T) => void>} callbacks @param {T} value */
function tell(callbacks, value) {
  for (const callback of [...callbacks]) {
    try { callback(value); } catch (error) { reportError(error); }
  }
}

/** @type {string | null} the session that this tab is about */
let known = null;
/** The tab's session has ended: the cookie may be somebody else's by now, who has signed in in another tab. */
let over = false;
/** @type {Watch | null} */
let watch = null;
let away = false;
/** How many sign-ins of this tab are under way: that they take the place of its session is no news to it. */
let entering = 0;

// A page with a stream or a lock would not be kept for the button "back".
globalThis.addEventListener?.('pagehide', () => { away = true; tend(); });
globalThis.addEventListener?.('pageshow', () => { away = false; tend(); });

/** @template {{ session: { id: string } }} T @param {T} answer */
function adopt(answer) {
  known = answer.session.id;
  over = false;
  tend();
  return answer;
}

/** There is a watch exactly while there is a session to watch, somebody to tell, and a page to do it. */
function tend() {
  const wanted = known !== null && !away && whenEnded.size + whenChanged.size > 0;
  if (watch !== null && (!wanted || watch.session !== known)) {
    watch.stop();
    watch = null;
  }
  if (wanted && watch === null && known !== null) watch = new Watch(known);
}

/** @param {string | null} session @param {string} reason @param {boolean} [ours] whether this tab is the first to know */
function end(session, reason, ours = true) {
  if (session === null || session !== known) return;
  if (ours) watch?.post({ event: 'session-ended', reason });
  known = null;
  over = true;
  tend();
  if (reason === 'replaced' && entering > 0) return;
  tell(whenEnded, { session, reason });
}

/** @typedef {{ event: string, reason?: string }} Message */

/**
 * Hears of one session. All tabs of a browser share one stream: who holds the lock has it and passes on what it says; when
 * that tab goes, the next one takes over. Without locks each tab has its own.
 */
class Watch {
  #name = '';
  #place = new AbortController();
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {EventSource | null} */
  #source = null;
  #leads = false;
  #heard = false;
  #attempt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;

  /** @param {string} session */
  constructor(session) {
    this.session = session;
    this.#name = `sessiond:${session}`;
    this.#listen();
    if (globalThis.navigator?.locks && globalThis.BroadcastChannel) {
      this.#channel = new BroadcastChannel(this.#name);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
      this.#join(false);
    } else {
      this.#lead();
    }
  }

  stop() {
    this.#place.abort();
    this.#retire();
    clearTimeout(this.#silence);
    this.#channel?.close();
    this.#channel = null;
  }

  /** Tells the other tabs. @param {Message} message */
  post(message) {
    this.#channel?.postMessage(message);
  }

  /** Stands in line for the lock, or takes it from a tab that has fallen silent. @param {boolean} steal */
  #join(steal) {
    this.#place.abort();
    const place = (this.#place = new AbortController());
    const left = new Promise((resolve) => place.signal.addEventListener('abort', resolve, { once: true }));
    const lead = () => { if (!place.signal.aborted) this.#lead(); return left; };
    navigator.locks.request(this.#name, steal ? { steal } : { signal: place.signal }, lead).catch((error) => {
      if (place.signal.aborted) return;
      this.#retire();
      // Taken from us; or there are no locks for a page such as this one.
      if (error.name === 'AbortError') this.#join(false);
      else this.#lead();
    });
  }

  #lead() {
    this.#leads = true;
    this.#open();
  }

  #retire() {
    this.#leads = false;
    this.#close();
  }

  #close() {
    clearTimeout(this.#pause);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    this.#close();
    const source = (this.#source = new EventSource(new URL('events', BASE), { withCredentials: true }));
    source.addEventListener('session', (event) => this.#begins(fieldOf(event, 'session')));
    for (const name of ['heartbeat', 'sessions-changed', 'session-ended']) {
      source.addEventListener(name, (event) => this.#relay({ event: name, reason: fieldOf(event, 'reason') || 'ended' }));
    }
    // A stream that ends says nothing about the session; one that is refused may: then it is asked.
    source.onerror = () => { this.#again(source.readyState === EventSource.CLOSED); };
  }

  /** @param {string} session */
  #begins(session) {
    this.#attempt = 0;
    // Whatever happened while there was no stream; and the cookie may be another session's by now.
    if (session === this.session) this.#relay({ event: 'sessions-changed' });
    else this.#relay({ event: 'session-ended', reason: 'replaced' });
  }

  /** @param {Message} message */
  #relay(message) {
    this.post(message);
    this.#hear(message);
  }

  /** @param {Message} message */
  #hear({ event, reason = 'ended' }) {
    this.#listen();
    if (event === 'session-ended') end(this.session, reason, false);
    else if (event === 'sessions-changed' || !this.#heard) tell(whenChanged, undefined);
    this.#heard = true;
  }

  #listen() {
    clearTimeout(this.#silence);
    // Not all tabs at once.
    this.#silence = setTimeout(() => this.#silent(), SILENCE_MS + Math.random() * 10_000);
  }

  #silent() {
    this.#listen();
    if (this.#leads) this.#again(true);
    else if (this.#channel !== null) this.#join(true);
  }

  /** Opens the stream anew, later each time and not in step with others. @param {boolean} look */
  async #again(look) {
    this.#close();
    // The other tabs need not take over: it is being seen to.
    this.post({ event: 'heartbeat' });
    const asked = look ? await this.#look() : 0;
    if (!this.#leads || this.#source !== null) return;
    const growing = Math.min(2 ** this.#attempt * 1000, LONGEST_PAUSE_MS) * (0.5 + Math.random());
    this.#attempt += 1;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#open(), Math.max(growing, asked));
  }

  /** Asks whether the session is still there, keeping it no longer alive; gives how long the service wants to be left alone. */
  async #look() {
    try {
      const found = await send('GET', 'session', { background: true });
      if (found === null) await survives(this.session);
      else if (found.session.id !== this.session) end(this.session, 'replaced');
      return 0;
    } catch (error) {
      if (!(error instanceof SessiondError)) return 0;
      return Math.min(error.retryAfter ?? 0, LONGEST_WAIT) * 1000;
    }
  }
}

/** @param {Event} event @param {string} name */
function fieldOf(event, name) {
  try { return String(JSON.parse(/** @type {MessageEvent} */ (event).data)[name] ?? ''); } catch { return ''; }
}

// --- how it is asked ------------------------------------------------------------------------------------------------

/** @typedef {Options & { body?: unknown, onlyOnce?: boolean }} Request `onlyOnce`: not again when it is done but unconfirmed */

/**
 * Any request, for what has no name here. Reading is repeated for as long as the service is away; a change after its own
 * "not now" (503), a few times; "too many" (429) when it is over in seconds. Each pause is as long as the service asks for.
 * The path is below the service's own, with or without a slash before it. Once the tab's session has ended, what needs one is
 * refused with 401 and not sent, until `me()` or `login()` has found another.
 * @param {string} method @param {string} path @param {Request} [request] @returns {Promise<any>}
 */
export async function call(method, path, request = {}) {
  const place = path.replace(/^[/\\]+/, '');
  let proven = false;
  let doubted = false;
  for (let attempt = 1; ; attempt += 1) {
    // Before each attempt: it may have ended while the one before was waited for.
    if (over && !isFree(place)) throw new SessiondError(401, { slug: 'unauthenticated' });
    const mine = known;
    try {
      return await send(method, place, request);
    } catch (error) {
      if (!(error instanceof SessiondError)) throw error;
      if (error.slug === 'step-up-required' && prove !== null && !proven && !request.background) {
        proving ??= prove(error).finally(() => { proving = null; });
        proven = await proving;
        if (!proven) throw error;
      } else if (error.slug === 'unauthenticated' && mine !== null && !doubted) {
        doubted = true;
        const there = await survives(mine);
        request.signal?.throwIfAborted();
        if (!there) throw error;
      } else {
        if (!mayRetry(error, method, attempt, request.onlyOnce)) throw error;
        const seconds = waitBefore(error, attempt);
        request.onWait?.(waitWords(error, seconds));
        await pause(seconds * 1000, request.signal);
      }
      request.signal?.throwIfAborted();
    }
  }
}

/** @param {string} place */
const isFree = (place) => FREE.includes(place.split(/[?#]/, 1)[0] ?? '');

/** Rejects as soon as nobody waits any more. @param {number} time @param {AbortSignal | undefined} signal @returns {Promise<void>} */
function pause(time, signal) {
  return new Promise((resume, reject) => {
    signal?.throwIfAborted();
    const stop = () => { clearTimeout(timer); reject(signal?.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener('abort', stop); resume(); }, time);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/**
 * Whether this session is there after a refusal all the same: the question may have carried the cookie that another one has
 * just renewed. If it is not, the tab is told.
 * @param {string} session
 */
async function survives(session) {
  await pause(SETTLE_MS, undefined);
  if (session !== known) return false;
  try {
    const found = await send('GET', 'session', { background: true });
    if (found?.session.id === session) return true;
    end(session, found === null ? 'ended' : 'replaced');
  } catch {
    // It cannot be told.
  }
  return false;
}

/** @param {SessiondError} error @param {string} method @param {number} attempt @param {boolean} [onlyOnce] */
function mayRetry({ status, slug, retryAfter }, method, attempt, onlyOnce = false) {
  if (status === 429) return retryAfter !== null && retryAfter <= SHORT_WAIT && attempt <= SHORT_WAITS;
  if (method === 'GET') return [0, 502, 503, 504].includes(status);
  // `unconfirmed` says the change has been made: the old password or the reset token would not be taken a second time.
  if (onlyOnce && slug === 'unconfirmed') return false;
  return status === 503 && attempt <= WRITE_RETRIES;
}

/** What the service asked for, growing when it stays away, and spread so that not everybody returns at once. @param {SessiondError} error @param {number} attempt */
function waitBefore({ retryAfter }, attempt) {
  const growing = Math.min(2 ** (attempt - 1), 30);
  return Math.min(Math.max(retryAfter ?? 1, growing), LONGEST_WAIT) + Math.random() * 0.5;
}

/** @param {SessiondError} error @param {number} seconds */
function waitWords({ status }, seconds) {
  const whole = Math.round(seconds);
  const reason = status === 429 ? 'Too many attempts.' : status === 503 ? 'The service is busy.' : 'The service cannot be reached.';
  return `${reason} Trying again in ${whole} ${whole === 1 ? 'second' : 'seconds'}…`;
}

/** @param {string} method @param {string} path @param {Request} request */
async function send(method, path, { body, background = false, signal }) {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  /** @type {Record<string, string>} */
  const headers = { Accept: 'application/json, application/problem+json' };
  if (method !== 'GET') headers['X-Requested-With'] = 'sessiond';
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (background) headers['X-No-Touch'] = '1';
  let response;
  let text = '';
  try {
    response = await fetch(new URL(path, BASE), {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'include',
      cache: 'no-store',
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    });
    if (response.status === 204) return null;
    if (response.ok) text = await response.text();
  } catch {
    signal?.throwIfAborted();
    throw new SessiondError(0, { slug: 'unreachable' });
  }
  if (!response.ok) throw await problemOf(response);
  return answerIn(text, response.status);
}

/** What is no JSON came from something else, and would come again. @param {string} text @param {number} status */
function answerIn(text, status) {
  try { return JSON.parse(text); } catch { throw new SessiondError(status, { slug: 'unreadable' }); }
}

/** @param {Response} response */
async function problemOf(response) {
  const body = await response.json().catch(() => null);
  const problem = body !== null && typeof body === 'object' ? body : {};
  const type = String(problem.type ?? '');
  return new SessiondError(response.status, {
    slug: type.startsWith(PROBLEM) ? type.slice(PROBLEM.length) : '',
    title: String(problem.title ?? ''),
    detail: String(problem.detail ?? ''),
    errors: Array.isArray(problem.errors) ? problem.errors : [],
    retryAfter: secondsOf(response.headers.get('Retry-After')),
    outcome: problem.outcome ?? null,
  });
}

/** Retry-After is a number of seconds or a date. @param {string | null} value */
function secondsOf(value) {
  if (value === null || value.trim() === '') return null;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : null;
}
