// The same shop with its sessions at sessiond:
//
//   SESSIOND_URL=http://127.0.0.1:8080/auth SESSIOND_SECRET=sd_svc_… ANAS_PASSWORD=… node after.js 3000
//
// It knows the key of the old tokens no more: sessiond has it, until the last of them has expired.

import express from "express";
import { SessiondError, Sessions } from "sessiond-client";
import { userOf, verified } from "../users.js";

const { SESSIOND_URL: url, SESSIOND_SECRET: secret } = process.env;
const sessions = new Sessions({ url, secret, claims: true, ip: (request) => request.ip });
const COOKIE = { httpOnly: true, secure: true, sameSite: "lax", path: "/" };

const app = express();
app.set("trust proxy", "loopback");
app.use(moveOver);
app.use(express.urlencoded({ extended: false, limit: "4kb" }));

// An old token becomes a session, once, with whatever request it comes. Take this out when the exchange is over.
async function moveOver(request, response, next) {
  const [, token] = /(?:^|; )token=([^;]+)/.exec(request.headers.cookie ?? "") ?? [];
  if (!token) return next();
  if (!sessions.token(request)) {
    const headers = { "Authorization": `Bearer ${token}`, "X-Requested-With": "shop", "X-Forwarded-For": request.ip };
    if (request.headers["user-agent"]) headers["User-Agent"] = request.headers["user-agent"];
    const how = { method: "POST", headers, redirect: "manual", signal: AbortSignal.timeout(2000) };
    const answer = await fetch(`${url}/exchange?remember=true`, how).catch(() => undefined);
    await answer?.body?.cancel();
    // An outage signs nobody out.
    if (![200, 401, 403, 409, 410].includes(answer?.status)) return unavailable(response);
    const [session] = answer.headers.getSetCookie();
    if (answer.ok) {
      response.append("Set-Cookie", session);
      request.headers.cookie += `; ${session.split(";")[0]}`;
    }
    // Another request of this browser was faster, and its answer had the session: have this one come again with it.
    if (answer.status === 409) return response.clearCookie("token", COOKIE).redirect(307, here(request));
  }
  response.clearCookie("token", COOKIE);
  next();
}

// Never another host: a path may begin with several slashes.
const here = (request) => request.originalUrl.replace(/^[/\\]+/, "/");

app.post("/sign-in", async (request, response) => {
  const user = await verified(request.body);
  if (!user) return response.status(401).send("Wrong address or password.");
  const { cookie } = await sessions.issue({
    subject: user.id,
    name: user.name,
    ip: request.ip,
    user_agent: request.get("user-agent") ?? null,
    remember: true,
    replaces: sessions.token(request),
  });
  response.append("Set-Cookie", cookie.set_cookie).redirect(303, "/orders");
});

app.get("/orders", sessions.guard(), (request, response) => {
  response.json({ name: userOf(request.signedIn.subject).name, orders: ["A teapot"] });
});

// It ends the session. A copy of the cookie opens nothing from now on.
app.post("/sign-out", sessions.guard(), async (request, response) => {
  await sessions.endSession(request.signedIn.subject, request.signedIn.sid);
  response.redirect(303, "/");
});

const unavailable = (response) => response.set("Retry-After", "5").status(503).send("Please try again in a moment.");
app.use((error, request, response, next) => {
  if (response.headersSent || !(error instanceof SessiondError)) return next(error);
  unavailable(response);
});

app.listen(Number(process.argv[2] ?? 3000), "127.0.0.1");
