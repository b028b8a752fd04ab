// The same shop with its sessions at sessiond:
//
//   SESSIOND_URL=http://127.0.0.1:8080/auth SESSIOND_SECRET=sd_svc_… ANAS_PASSWORD=… \
//   SESSION_SECRET=… SESSIONS=/var/lib/shop/sessions node after.js 3000
//
// It reads each old session once more. Without SESSIONS it reads none: that is the end of the move.

import { createHash } from "node:crypto";
import { promisify } from "node:util";
import express from "express";
import session from "express-session";
import fileStore from "session-file-store";
import { SessiondError, Sessions } from "sessiond-client";
import { userOf, verified } from "../users.js";

const { SESSIOND_URL: url, SESSIOND_SECRET: secret, SESSION_SECRET, SESSIONS } = process.env;
const sessions = new Sessions({ url, secret, claims: true, ip: (request) => request.ip });

const app = express();
app.set("trust proxy", "loopback");
if (SESSIONS) app.use(moveOver());
app.use(express.urlencoded({ extended: false, limit: "4kb" }));

// An old session becomes one of sessiond, with whatever request it comes, and is gone. Take this out after the longest
// life of an old session.
function moveOver() {
  const FileStore = fileStore(session);
  const store = new FileStore({ path: SESSIONS, retries: 0, ttl: 30 * 24 * 3600, logFn: () => {} });
  const old = promisify(session({ secret: SESSION_SECRET, store, resave: false, saveUninitialized: false }));
  return async (request, response, next) => {
    if (!/(?:^|; )connect\.sid=/.test(request.headers.cookie ?? "")) return next();
    await old(request, response);
    const [id, user] = [request.session.id, userOf(request.session.user)];
    const forget = () => response.clearCookie("connect.sid", { httpOnly: true, sameSite: "lax", path: "/" });
    if (!sessions.token(request)) {
      // Another request of this browser was faster, and its answer had the session: have this one come again with it.
      if (!user) return forget().redirect(307, here(request));
      // Two requests of a browser at once get the same session by this key. And if we fail between the two steps, the
      // old session gets the new one again while that lives, and nothing afterwards.
      const idempotencyKey = createHash("sha256").update(id).digest("hex");
      const issued = await sessions.issue(openedBy(user, request), { idempotencyKey }).catch(unlessMoved);
      if (issued) {
        response.append("Set-Cookie", issued.cookie.set_cookie);
        request.headers.cookie += `; ${issued.cookie.name}=${issued.cookie.value}`;
      }
    }
    await promisify(request.session.destroy).call(request.session);
    forget();
    next();
  };
}

// Never another host: a path may begin with several slashes.
const here = (request) => request.originalUrl.replace(/^[/\\]+/, "/");

function unlessMoved(error) {
  if (error.type !== "urn:sessiond:problem:idempotency-key-reused" && error.status !== 403) throw error;
}

const openedBy = (user, request) => ({
  subject: user.id,
  name: user.name,
  ip: request.ip,
  user_agent: request.get("user-agent") ?? null,
  remember: true,
});

app.post("/sign-in", async (request, response) => {
  const user = await verified(request.body);
  if (!user) return response.status(401).send("Wrong address or password.");
  const { cookie } = await sessions.issue({ ...openedBy(user, request), replaces: sessions.token(request) });
  response.append("Set-Cookie", cookie.set_cookie).redirect(303, "/orders");
});

app.get("/orders", sessions.guard(), (request, response) => {
  response.json({ name: userOf(request.signedIn.subject).name, orders: ["A teapot"] });
});

app.post("/sign-out", sessions.guard(), async (request, response) => {
  await sessions.endSession(request.signedIn.subject, request.signedIn.sid);
  response.redirect(303, "/");
});

app.use((error, request, response, next) => {
  if (response.headersSent || !(error instanceof SessiondError)) return next(error);
  response.set("Retry-After", "5").status(503).send("Please try again in a moment.");
});

app.listen(Number(process.argv[2] ?? 3000), "127.0.0.1");
