// A shop whose sessions are in files, by express-session:
//
//   SESSION_SECRET=… SESSIONS=/var/lib/shop/sessions ANAS_PASSWORD=… node before.js 3000

import express from "express";
import session from "express-session";
import fileStore from "session-file-store";
import { userOf, verified } from "../users.js";

const { SESSION_SECRET, SESSIONS } = process.env;
const COOKIE = { httpOnly: true, secure: "auto", sameSite: "lax", path: "/", maxAge: 30 * 24 * 3600 * 1000 };
const FileStore = fileStore(session);
const store = new FileStore({ path: SESSIONS, retries: 0, ttl: 30 * 24 * 3600, logFn: () => {} });

const app = express();
app.set("trust proxy", "loopback");
app.use(express.urlencoded({ extended: false, limit: "4kb" }));
app.use(session({ secret: SESSION_SECRET, store, cookie: COOKIE, resave: false, saveUninitialized: false }));

app.post("/sign-in", async (request, response, next) => {
  const user = await verified(request.body);
  if (!user) return response.status(401).send("Wrong address or password.");
  request.session.regenerate((error) => {
    if (error) return next(error);
    request.session.user = user.id;
    request.session.save((fault) => (fault ? next(fault) : response.redirect(303, "/orders")));
  });
});

function signedIn(request, response, next) {
  request.user = userOf(request.session.user);
  if (!request.user) return response.status(401).send("Please sign in.");
  next();
}

app.get("/orders", signedIn, (request, response) => {
  response.json({ name: request.user.name, orders: ["A teapot"] });
});

app.post("/sign-out", signedIn, (request, response, next) => {
  request.session.destroy((error) => (error ? next(error) : response.clearCookie("connect.sid").redirect(303, "/")));
});

app.listen(Number(process.argv[2] ?? 3000), "127.0.0.1");
