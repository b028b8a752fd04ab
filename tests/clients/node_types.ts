// What the types of clients/node allow, and what they refuse: an error that is expected and does not come is one itself.

import { createServer } from "node:http";
import { refusal, Sessions, type Check } from "./index.js";

const sessions = new Sessions({ url: "http://127.0.0.1:8080/auth", secret: "sd_svc_x", ip: (request) => request.ip });
const check: Check = await sessions.check(new Request("http://app.example/"), { maxAge: 300 });
if (check.outcome === "signed_in") {
  const user: string = check.session.sub;
  // @ts-expect-error: the time of the last proof may be missing
  const proven: number = check.session.auth_time;
  console.log(user, proven);
}
// @ts-expect-error: nobody may be signed in
console.log(check.session.sub);
if (check.outcome === "unavailable") console.log(check.retryAfter.toFixed());
// @ts-expect-error: there are four outcomes
if (check.outcome === "signed-in") console.log(refusal(check));
createServer((request, response) => sessions.guard({ maxAge: 60 })(request, response, () => response.end()));
const issued = await sessions.issue({ subject: "user-4711", ip: "192.0.2.7", user_agent: null });
console.log(issued.cookie.set_cookie, (await sessions.endAll("user-4711")).toFixed());
// @ts-expect-error: the address of the user is required
await sessions.issue({ subject: "user-4711", user_agent: null });
// @ts-expect-error: a secret is required
console.log(new Sessions({ url: "http://127.0.0.1:8080" }));
