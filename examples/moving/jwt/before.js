// A shop whose sessions are JSON Web Tokens in a cookie:
//
//   JWT_SECRET=… ANAS_PASSWORD=… node before.js 3000

import { randomUUID } from "node:crypto";
import express from "express";
import { jwtVerify, SignJWT } from "jose";
import { userOf, verified } from "../users.js";

const KEY = new TextEncoder().encode(process.env.JWT_SECRET);
const [ISSUER, AUDIENCE] = ["https://shop.example.org", "shop"];
const COOKIE = { httpOnly: true, secure: true, sameSite: "lax", path: "/" };

const app = express();
app.set("trust proxy", "loopback");
app.use(express.urlencoded({ extended: false, limit: "4kb" }));

app.post("/sign-in", async (request, response) => {
  const user = await verified(request.body);
  if (!user) return response.status(401).send("Wrong address or password.");
  const token = await new SignJWT().setProtectedHeader({ alg: "HS256" }).setJti(randomUUID())
    .setIssuer(ISSUER).setAudience(AUDIENCE).setSubject(user.id).setIssuedAt().setExpirationTime("30d").sign(KEY);
  response.cookie("token", token, { ...COOKIE, maxAge: 30 * 24 * 3600 * 1000 }).redirect(303, "/orders");
});

async function signedIn(request, response, next) {
  const [, token] = /(?:^|; )token=([^;]*)/.exec(request.headers.cookie ?? "") ?? [];
  try {
    const { payload } = await jwtVerify(token ?? "", KEY, { issuer: ISSUER, audience: AUDIENCE, algorithms: ["HS256"] });
    request.user = userOf(payload.sub);
  } catch {
    return response.status(401).send("Please sign in.");
  }
  next();
}

app.get("/orders", signedIn, (request, response) => {
  response.json({ name: request.user.name, orders: ["A teapot"] });
});

// It asks the browser to forget the token. A copy of it is good for the rest of the thirty days.
app.post("/sign-out", signedIn, (request, response) => {
  response.clearCookie("token", COOKIE).redirect(303, "/");
});

app.listen(Number(process.argv[2] ?? 3000), "127.0.0.1");
