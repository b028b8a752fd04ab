// A shop with users and a sign-in form of its own. Their sessions are at sessiond:
//
//   npm install
//   SESSIOND_URL=http://127.0.0.1:8080/auth SESSIOND_SECRET=sd_svc_… ANAS_PASSWORD=… node app.js 3000
//
// The service needs the scopes issue, introspect and revoke. A proxy puts the shop and sessiond under one host:
// docs/services.md shows one. What is not here: a limit on attempts to sign in, and a database.

import { randomBytes, scrypt as scryptWithCallback, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import express from "express";
import { SessiondError, Sessions } from "sessiond-client";

const { SESSIOND_URL: url, SESSIOND_SECRET: secret, ANAS_PASSWORD, RECENT = "300" } = process.env;
// With claims, `subject` tells which of our users it is, also after a restart.
const sessions = new Sessions({ url, secret, claims: true, ip: (request) => request.ip });

// --- our users -------------------------------------------------------------------------------------------------

const scrypt = promisify(scryptWithCallback);
const users = new Map();

async function add(id, email, name, password) {
  const salt = randomBytes(16);
  users.set(email, { id, email, name, salt, hash: await scrypt(password, salt, 32) });
}

async function verified(email, password) {
  // An address that nobody has costs as much as one that somebody has.
  const user = users.get(email) ?? { salt: randomBytes(16), hash: randomBytes(32), nobody: true };
  const equal = timingSafeEqual(await scrypt(password, user.salt, 32), user.hash);
  return equal && !user.nobody ? user : undefined;
}

const userOf = ({ signedIn }) => [...users.values()].find(({ id }) => id === signedIn?.subject);

await add("shop-1", "ana@example.org", "Ana Silva", ANAS_PASSWORD);

// --- our pages -------------------------------------------------------------------------------------------------

const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
const page = (title, body) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><link rel="icon" href="data:,">${body}`;
const FORM = `<h1>Shop</h1><form method="post" action="/sign-in">
  <label>E-mail <input id="email" name="email" type="email" autocomplete="username"></label>
  <label>Password <input id="password" name="password" type="password" autocomplete="current-password"></label>
  <button id="sign-in">Sign in</button></form>`;

const app = express();
app.set("trust proxy", "loopback"); // the proxy tells the address of the user
app.disable("x-powered-by");
app.use((request, response, next) => {
  response.set("Cache-Control", "no-store");
  // No page of others signs anybody in or out here.
  const from = request.get("sec-fetch-site") ?? "same-origin";
  if (request.method === "POST" && from !== "same-origin") return response.status(403).send("From another site.");
  next();
});
app.use(express.urlencoded({ extended: false, limit: "4kb" }));

// A page for everybody: it says who is signed in. If nobody can say, it is 503.
app.get("/", sessions.guard({ optional: true }), (request, response) => {
  const user = userOf(request);
  if (!user) return response.send(page("Shop", FORM));
  response.send(page("Shop", `<h1>Shop</h1><p id="who">Signed in as ${escaped(user.name)}.</p>
    <p><a href="/orders">My orders</a> <a href="/auth/account">My sessions</a></p>
    <form method="post" action="/sign-out"><button id="sign-out">Sign out</button></form>`));
});

app.post("/sign-in", async (request, response) => {
  const { email = "", password = "" } = request.body ?? {};
  const user = await verified(String(email), String(password));
  if (!user) return response.status(401).send(page("Sign in", `<p id="wrong">Wrong address or password.</p>${FORM}`));
  const { cookie } = await sessions.issue({
    subject: user.id,
    name: user.name,
    ip: request.ip,
    user_agent: request.get("user-agent") ?? null,
    replaces: sessions.token(request),
  });
  response.append("Set-Cookie", cookie.set_cookie).redirect(303, "/");
});

app.post("/sign-out", sessions.guard(), async (request, response) => {
  await sessions.endSession(request.signedIn.subject, request.signedIn.sid);
  response.redirect(303, "/");
});

app.get("/orders", sessions.guard(), (request, response) => {
  response.json({ name: userOf(request)?.name, orders: [{ id: 1, what: "A teapot" }] });
});

// Whoever finds an open browser must not have goods sent elsewhere: this wants a recent proof.
app.get("/address", sessions.guard({ maxAge: Number(RECENT) }), (request, response) => {
  response.json({ name: userOf(request)?.name, address: "Rua das Flores 7, Porto" });
});

app.use((error, request, response, next) => {
  if (response.headersSent || !(error instanceof SessiondError)) return next(error);
  const disabled = error.type === "urn:sessiond:problem:user-disabled";
  if (!disabled) response.set("Retry-After", String(error.retryAfter));
  response.status(disabled ? 403 : 503).send(disabled ? "This account is closed." : "Please try again in a moment.");
});

app.listen(Number(process.argv[2] ?? 3000), "127.0.0.1");
