// Runs the vectors of ../contract.json against this client, on what somebody else brings into each state:
//
//   node contract.js contract.json <commands >results
//
// One line of JSON in, one state: {"state", "url", "secret", "time_limit", "session", "decoded", "other"}; or one call:
// {"call": "issue", "url", "secret", "time_limit", "with": […]}. Lines of JSON out. Judges nothing.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import express from "express";
import { refusal, Sessions } from "./index.js";

const BODY = '{"a": "body"}';
const problem = "application/problem+json no-store urn:sessiond:problem:";
const OUTCOMES = {
  [`200 ${BODY}`]: "signed_in",
  [`401 ${problem}unauthenticated`]: "signed_out",
  [`403 ${problem}step-up-required`]: "step_up",
  [`503 ${problem}unavailable`]: "unavailable",
};

const { vectors } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const clients = new Map();
const guards = new Map();

// One object for all states: one that keeps answers would be found out.
function client({ url, secret, time_limit }) {
  const key = `${url} ${secret}`;
  const options = { url, secret, timeLimit: time_limit * 1000, ip: () => "192.0.2.9" };
  if (!clients.has(key)) clients.set(key, new Sessions(options));
  return clients.get(key);
}

function outcome(status, headers, body) {
  if (status === 200) return OUTCOMES[`200 ${body}`] ?? body;
  const told = `${status} ${headers.get("content-type")} ${headers.get("cache-control")} ${JSON.parse(body).type}`;
  return OUTCOMES[told] ?? told;
}

async function byFetch({ sessions, maxAge, lines }) {
  const request = new Request("http://app.example/", { method: "POST", body: BODY });
  for (const line of lines) request.headers.append("cookie", line);
  const check = await sessions.check(request, { maxAge });
  const answer = refusal(check) ?? new Response(await request.text());
  return [answer.status, answer.headers, await answer.text()];
}

function over(port) {
  return ({ number, lines }) =>
    new Promise((resolve, reject) => {
      const cookies = lines.map((line) => `Cookie: ${line}\r\n`).join("");
      const head = `POST / HTTP/1.1\r\nHost: app.example\r\nX-Vector: ${number}\r\nConnection: close\r\n${cookies}`;
      const socket = connect(port, "127.0.0.1", () =>
        socket.write(`${head}Content-Type: text/plain\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`, "latin1"));
      let text = "";
      socket.setEncoding("latin1").on("data", (part) => (text += part)).on("error", reject);
      socket.on("close", () => {
        const [top, ...rest] = text.split("\r\n\r\n");
        const [first, ...fields] = top.split("\r\n");
        const headers = new Headers(fields.map((field) => field.split(/: (.*)/s).slice(0, 2)));
        const body = /chunked/.test(top) ? rest.join("\r\n\r\n").split("\r\n")[1] : rest.join("\r\n\r\n");
        resolve([Number(first.split(" ")[1]), headers, body]);
      });
    });
}

const guarded = (request, response, next) => guards.get(request.headers["x-vector"])(request, response, next);

async function echo(request, response) {
  let body = "";
  for await (const part of request) body += part;
  response.end(request.signedIn?.sid ? body : "nobody is signed in");
}

const plain = createServer((request, response) => guarded(request, response, () => echo(request, response)));
const app = express().use(guarded).post("/", echo);
const listening = (server) =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
const faces = { fetch: byFetch, http: over(await listening(plain)), express: over(await listening(createServer(app))) };

async function run(command) {
  const values = { ...command, filler: "=".repeat(6000) };
  const sessions = client(command);
  const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
  await Promise.all(vectors.flatMap(({ name, state, cookie, max_age: maxAge }, number) => {
    if (state !== command.state) return [];
    const asked = state === "played" ? client({ ...command, url: `${command.url}/${number}` }) : sessions;
    const lines = cookie.map((line) => line.replace(/\{(\w+)\}/g, (_, key) => values[key]));
    guards.set(String(number), asked.guard({ maxAge }));
    return Object.entries(faces).map(async ([face, ask]) => {
      const [status, headers, body] = await ask({ sessions: asked, maxAge, lines, number });
      const retry = headers.get("retry-after");
      tell({ name, face, outcome: outcome(status, headers, body), ...(retry && { retry_after: Number(retry) }) });
    });
  }));
  tell({ done: command.state });
}

async function call({ call, with: parameters, ...at }) {
  const names = { issue: "issue", end_all: "endAll", end_session: "endSession" };
  const told = await client(at)[names[call]](...parameters).then(
    (result) => ({ result: result ?? null }),
    ({ name, status, type, retryAfter }) => ({ error: { name, status, type, retry_after: retryAfter } }),
  );
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  await (command.call ? call(command) : run(command));
}
process.exit();
