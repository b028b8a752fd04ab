// Sessions of sessiond in a Node back end: who has sent this request, and the calls that begin and end sessions.
//
// Owns the question and its four outcomes. Must never take "unavailable" for "signed out", keep a yes, read the body of
// the request, follow a redirect with the secret, or tell the secret or a cookie in an error.

import { isUtf8 } from "node:buffer";
import { randomUUID } from "node:crypto";
import { isIP } from "node:net";

/** @typedef {import("./index.d.ts").Sessions} Declared */
/** @typedef {import("./index.d.ts").Check} Check */
/** @typedef {import("./index.d.ts").Session} Session */
/** @typedef {import("./index.d.ts").Incoming} Incoming */
/** @typedef {{ status: number, headers: Headers, text: string }} Answer */

// Browsers keep no longer cookie, and escaped it still fits into what the server reads.
const LONGEST_COOKIE = 4096;
const LONGEST_ANSWER = 65_536;
// How far the clocks of two nodes may be apart, in seconds.
const SLACK = 60;
const RETRY_AFTER = 5;
const PROBLEM = "urn:sessiond:problem:";
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
const JSON_BODY = { "Content-Type": "application/json" };

/** A call that was refused (`status`, `type`) or not answered (`status` is 0). */
export class SessiondError extends Error {
  /**
   * @param {string} message
   * @param {{ status?: number, type?: string, retryAfter?: number, cause?: unknown }} [what]
   */
  constructor(message, { status = 0, type = "", retryAfter = RETRY_AFTER, cause } = {}) {
    super(message, { cause });
    this.name = "SessiondError";
    this.status = status;
    this.type = type;
    this.retryAfter = retryAfter;
  }
}

/** @implements {Declared} */
export class Sessions {
  #base;
  #secret;
  #options;

  /** @param {import("./index.d.ts").Options} options */
  constructor({ url, secret, cookieName = "__Host-session", timeLimit = 2000, claims = false, ip = () => undefined }) {
    this.#base = new URL(url.endsWith("/") ? url : `${url}/`);
    if (!/^https?:$/.test(this.#base.protocol) || this.#base.username || this.#base.search || this.#base.hash) {
      throw new TypeError("`url` must be an http or https address without user name, query and fragment");
    }
    // Never shown: a line break at the end of a file would otherwise tell the secret in the error of `fetch`.
    if (!/^sd_svc_[\w-]+$/.test(secret)) throw new TypeError("`secret` is not the secret of a service");
    if (!(timeLimit > 0)) throw new TypeError("`timeLimit` must be a number of milliseconds");
    this.#secret = secret;
    this.#options = { cookieName, timeLimit, claims, ip };
  }

  /** @param {Incoming} request @returns {string | undefined} */
  token({ headers }) {
    const line = headers instanceof Headers ? headers.get("cookie") : headers.cookie;
    const values = [];
    for (const pair of (line ?? "").split(";")) {
      const at = pair.indexOf("=");
      const ours = at >= 0 && trimmed(pair.slice(0, at)) === this.#options.cookieName;
      // Header texts have a character for each byte.
      if (ours && isUtf8(Buffer.from(pair, "latin1"))) values.push(trimmed(pair.slice(at + 1)));
    }
    // Another party may have set one of several.
    const [value] = values;
    return values.length === 1 && value && value.length <= LONGEST_COOKIE ? value : undefined;
  }

  /** @param {Incoming} request @param {{ maxAge?: number | undefined }} [needs] @returns {Promise<Check>} */
  async check(request, { maxAge } = {}) {
    assertAge(maxAge);
    const token = this.token(request);
    if (token === undefined) return { outcome: "signed_out" };
    const form = new URLSearchParams({ token });
    const ip = this.#options.ip(request);
    if (ip && isIP(ip) && !ip.includes("%")) form.set("ip", ip);
    if (this.#options.claims) form.set("claims", "true");
    try {
      const answer = await this.#send("POST", "introspect", FORM, form.toString());
      if (answer.status !== 200) throw refused("introspection", answer);
      return judged(answer, maxAge);
    } catch (error) {
      const retryAfter = error instanceof SessiondError ? error.retryAfter : RETRY_AFTER;
      return { outcome: "unavailable", retryAfter, reason: String(error) };
    }
  }

  /** @param {{ maxAge?: number | undefined, optional?: boolean }} [needs] @returns {import("./index.d.ts").Guard} */
  guard({ maxAge, optional = false } = {}) {
    assertAge(maxAge);
    return async (request, response, next) => {
      const check = await this.check(request, { maxAge });
      if (check.outcome === "signed_in") request.signedIn = check.session;
      if (check.outcome === "signed_in" || (optional && check.outcome === "signed_out")) return next();
      const { status, headers, body } = problem(check);
      response.writeHead(status, headers).end(body);
    };
  }

  /** @param {import("./index.d.ts").User} user @param {{ idempotencyKey?: string }} [how] */
  async issue(user, { idempotencyKey = randomUUID() } = {}) {
    return this.#call("POST", "issue", { ...JSON_BODY, "Idempotency-Key": idempotencyKey }, JSON.stringify(user));
  }

  /** @param {string} subject @returns {Promise<number>} */
  async endAll(subject) {
    return (await this.#call("DELETE", `subjects/${segment(subject)}/sessions`)).revoked;
  }

  /** @param {string} subject @param {string} sid @returns {Promise<void>} */
  async endSession(subject, sid) {
    await this.#call("DELETE", `subjects/${segment(subject)}/sessions/${segment(sid)}`);
  }

  /** @param {string} method @param {string} path @param {Record<string, string>} [headers] @param {string} [body] */
  async #call(method, path, headers, body) {
    try {
      const answer = await this.#send(method, path, headers, body);
      if (answer.status < 200 || answer.status > 299) throw refused(`${method} ${path.split("/")[0]}`, answer);
      return answer.text === "" ? undefined : JSON.parse(answer.text);
    } catch (cause) {
      throw cause instanceof SessiondError ? cause : new SessiondError("sessiond does not answer", { cause });
    }
  }

  /**
   * @param {string} method @param {string} path @param {Record<string, string>} [headers] @param {string} [body]
   * @returns {Promise<Answer>}
   */
  async #send(method, path, headers, body) {
    const signal = AbortSignal.timeout(this.#options.timeLimit);
    const all = { ...headers, Accept: "application/json", Authorization: `Bearer ${this.#secret}` };
    const how = { method, headers: all, signal, redirect: /** @type {const} */ ("manual"), ...(body && { body }) };
    const ask = () => fetch(new URL(path, this.#base), how);
    // The server may close a kept connection in the moment of its use. Each of our calls may be repeated.
    const answer = await ask().catch((error) => (signal.aborted ? Promise.reject(error) : ask()));
    return { status: answer.status, headers: answer.headers, text: await read(answer) };
  }
}

/** @param {Check} check @returns {Response | undefined} */
export function refusal(check) {
  if (check.outcome === "signed_in") return undefined;
  const { status, headers, body } = problem(check);
  return new Response(body, { status, headers });
}

/** @param {Exclude<Check, { outcome: "signed_in" }>} check */
function problem(check) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/problem+json", "Cache-Control": "no-store" };
  /** @param {number} status @param {string} type @param {string} title @param {object} [more] */
  const told = (status, type, title, more) =>
    ({ status, headers, body: JSON.stringify({ type: PROBLEM + type, title, status, ...more }) });
  switch (check.outcome) {
    case "signed_out":
      headers["WWW-Authenticate"] = 'Cookie realm="sessiond"';
      return told(401, "unauthenticated", "Not signed in");
    case "step_up":
      return told(403, "step-up-required", "Recent sign-in required", { max_age: check.maxAge });
    default:
      headers["Retry-After"] = String(check.retryAfter);
      return told(503, "unavailable", "Temporarily unavailable");
  }
}

/** @param {Answer} answer @param {number | undefined} maxAge @returns {Check} */
function judged({ headers, text }, maxAge) {
  const session = /^application\/json\s*(;|$)/i.test(headers.get("content-type") ?? "") ? JSON.parse(text) : undefined;
  if (session?.active === false) return { outcome: "signed_out" };
  const { sub, sid, exp, iat, auth_time: proven } = session ?? {};
  const texts = [sub, sid].every((id) => typeof id === "string" && id !== "");
  const times = [exp, iat, proven ?? 0].every(Number.isSafeInteger) && proven !== null;
  if (session?.active !== true || !texts || !times) throw new Error("the answer is not one of introspection");
  if (maxAge === undefined) return { outcome: "signed_in", session };
  // By the clock that wrote `auth_time`, because ours may be wrong. Without a date nothing is recent.
  const now = Math.floor(Date.parse(headers.get("date") ?? "") / 1000);
  const recent = proven !== undefined && now - proven <= maxAge && now - proven >= -SLACK;
  return recent ? { outcome: "signed_in", session } : { outcome: "step_up", session, maxAge };
}

/** @param {string} what @param {Answer} answer */
function refused(what, { status, headers, text }) {
  const seconds = /^\d{1,4}$/.exec(headers.get("retry-after") ?? "");
  let type = "";
  try {
    type = String(JSON.parse(text).type);
  } catch {
    // Not from sessiond, but from something in between.
  }
  const retryAfter = seconds ? Math.max(1, Number(seconds[0])) : RETRY_AFTER;
  return new SessiondError(`sessiond answers ${what} with ${status} ${type}`, { status, type, retryAfter });
}

/** @param {Response} answer */
async function read(answer) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let [text, size] = ["", 0];
  for await (const part of answer.body ?? []) {
    size += part.length;
    if (size > LONGEST_ANSWER) throw new Error("the answer is too long");
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

/** Without spaces and tabs around it, and only these: browsers trim no other white space. @param {string} text */
function trimmed(text) {
  let [from, to] = [0, text.length];
  while (from < to && " \t".includes(text.charAt(from))) from += 1;
  while (to > from && " \t".includes(text.charAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

/** @param {string} text */
function segment(text) {
  // Escaped or not, they lead to another path.
  if (["", ".", ".."].includes(text)) throw new RangeError("an address cannot name this subject or session");
  return encodeURIComponent(text);
}

/** @param {number | undefined} maxAge */
function assertAge(maxAge) {
  if (maxAge !== undefined && !(maxAge >= 0)) throw new TypeError("`maxAge` must be a number of seconds");
}
