// The types of index.js.

import type { IncomingMessage, ServerResponse } from "node:http";

/** A live session, as `POST /introspect` tells about it. Times are seconds since 1970. */
export interface Session {
  active: true;
  /** The user's id at sessiond: `user.id` of the answer to `issue`. */
  sub: string;
  /** The session's id. */
  sid: string;
  /** When the session ends if it is not used again. It may end earlier at any moment: keep no yes. */
  exp: number;
  iat: number;
  /** When the user last proved their identity; missing if that proof no longer counts. */
  auth_time?: number;
  /** With `claims: true`: your own name for the user. */
  subject?: string;
  username?: string;
  name?: string;
  roles?: string[];
  claims?: Record<string, unknown>;
}

export type Check =
  | { outcome: "signed_in"; session: Session }
  | { outcome: "signed_out" }
  | { outcome: "step_up"; session: Session; maxAge: number }
  | { outcome: "unavailable"; retryAfter: number; reason: string };

export type Incoming = Request | IncomingMessage;

export interface Options {
  /** The base address of sessiond, for example `http://127.0.0.1:8080/auth`. */
  url: string;
  /** The secret of a service with the scopes `introspect` and, for the calls, `issue` and `revoke`. */
  secret: string;
  /** `__Secure-session` where sessiond has a SESSIOND_COOKIE_DOMAIN. */
  cookieName?: string;
  /** Milliseconds for a whole call. */
  timeLimit?: number;
  /** Whether to ask about the user, too: a query of the database for each check. */
  claims?: boolean;
  /** The user's address, if you know it: it shows in the list of sessions. */
  ip?: (request: any) => string | undefined;
}

/** The body of `POST /issue`. */
export interface User {
  subject: string;
  ip: string;
  user_agent: string | null;
  email?: string | null;
  name?: string | null;
  claims?: Record<string, unknown> | null;
  remember?: boolean;
  idle_timeout?: number;
  absolute_timeout?: number;
  /** The session that ends: `sessions.token(request)` at a sign-in. */
  replaces?: string | undefined;
}

export interface Issued {
  user: { id: string; [field: string]: unknown };
  session: { id: string; [field: string]: unknown };
  /** `set_cookie` is the whole header for the browser. Never log it. */
  cookie: { name: string; value: string; set_cookie: string };
}

/** Middleware for Express, and for node:http. */
export type Guard = (
  request: IncomingMessage & { signedIn?: Session },
  response: ServerResponse,
  next: () => unknown,
) => Promise<unknown>;

export class Sessions {
  constructor(options: Options);
  /** The value of the session cookie; undefined if there is none or more than one. */
  token(request: Incoming): string | undefined;
  /** Who has sent this request. Never rejects for what sessiond or the network does. */
  check(request: Incoming, needs?: { maxAge?: number | undefined }): Promise<Check>;
  /** Sets `request.signedIn`, or answers 401, 403 or 503. `optional` lets a signed-out request pass without it. */
  guard(needs?: { maxAge?: number | undefined; optional?: boolean }): Guard;
  issue(user: User, how?: { idempotencyKey?: string }): Promise<Issued>;
  /** Ends all sessions of a subject; tells how many. */
  endAll(subject: string): Promise<number>;
  endSession(subject: string, sid: string): Promise<void>;
}

/** A call that was refused (`status`, `type`) or not answered (`status` is 0). */
export class SessiondError extends Error {
  status: number;
  /** `urn:sessiond:problem:…` */
  type: string;
  /** Seconds to wait before the next attempt. */
  retryAfter: number;
}

/** The answer to a request that is not signed in: 401, 403 or 503; undefined if it is. */
export function refusal(check: Check): Response | undefined;
