"""Runs the vectors of ../contract.json against this client, on what somebody else brings into each state:

    python contract.py contract.json <commands >results

One line of JSON in, one state: {"state", "url", "secret", "time_limit", "session", "decoded", "other"}; or one call:
{"call": "issue", "url", "secret", "time_limit", "with": […]}. Lines of JSON out. Judges nothing.
"""

import asyncio
import json
import re
import sys
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response

from sessiond_client import RequireSession, Session, Sessions, SessiondError, SignedIn
from sessiond_client.fastapi import Refused, refused, require
from sessiond_client.outcomes import problem

BODY = b'{"a": "body"}'
PROBLEM = "application/problem+json no-store urn:sessiond:problem:"
OUTCOMES = {
    f"401 {PROBLEM}unauthenticated": "signed_out",
    f"403 {PROBLEM}step-up-required": "step_up",
    f"503 {PROBLEM}unavailable": "unavailable",
}
VECTORS = json.load(open(sys.argv[1], encoding="utf-8"))["vectors"]
clients: dict[tuple[str, str], Sessions] = {}
Answer = tuple[int, dict[str, str], bytes]


def client(url: str, secret: str, time_limit: float) -> Sessions:
    """One object for all states: one that keeps answers would be found out."""
    ip = "192.0.2.9"
    return clients.setdefault((url, secret), Sessions(url, secret, time_limit=time_limit, ip=lambda scope: ip))


def scope_of(lines: list[str], kind: str) -> dict[str, Any]:
    cookies = [(b"cookie", line.encode("latin-1")) for line in lines]
    scope = {"type": kind, "path": "/", "raw_path": b"/", "query_string": b"", "headers": [(b"host", b"app"), *cookies]}
    more: dict[str, Any] = {"extensions": {"websocket.http.response": {}}, "root_path": ""}
    return scope | more | {"method": "POST", "scheme": "http", "http_version": "1.1"}


async def through(app: Any, scope: dict[str, Any]) -> Answer:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"] if scope["state"]["session"].sid else b"nobody is signed in"
    prefix = "websocket." if scope["type"] == "websocket" else ""
    await send({"type": f"{prefix}http.response.start", "status": 200, "headers": []})
    await send({"type": f"{prefix}http.response.body", "body": body})


async def by_check(sessions: Sessions, lines: list[str], max_age: int | None) -> Answer:
    check = await sessions.check(scope_of(lines, "http"), max_age=max_age)
    return (200, {}, BODY) if isinstance(check, SignedIn) else problem(check)


async def by_asgi(sessions: Sessions, lines: list[str], max_age: int | None) -> Answer:
    return await through(RequireSession(echo, sessions, max_age=max_age), scope_of(lines, "http"))


async def by_websocket(sessions: Sessions, lines: list[str], max_age: int | None) -> Answer:
    return await through(RequireSession(echo, sessions, max_age=max_age), scope_of(lines, "websocket"))


async def by_fastapi(sessions: Sessions, lines: list[str], max_age: int | None) -> Answer:
    app = FastAPI()
    app.add_exception_handler(Refused, refused)

    Needed = Annotated[Session, Depends(require(sessions, max_age=max_age))]

    async def handler(request: Request, session: Needed) -> Response:
        return Response(await request.body() if session.sid else b"nobody is signed in")

    app.post("/")(handler)
    return await through(app, scope_of(lines, "http"))


FACES = {"check": by_check, "asgi": by_asgi, "websocket": by_websocket, "fastapi": by_fastapi}


def outcome(status: int, headers: dict[str, str], body: bytes) -> str:
    if status == 200:
        return "signed_in" if body == BODY else repr(body)
    told = f"{status} {headers['content-type']} {headers['cache-control']} {json.loads(body)['type']}"
    return OUTCOMES.get(told, told)


def tell(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


async def run(command: dict[str, Any]) -> None:
    values = command | {"filler": "=" * 6000}

    async def one(number: int, vector: dict[str, Any], face: str) -> None:
        lines = [re.sub(r"\{(\w+)\}", lambda found: values[found[1]], line) for line in vector["cookie"]]
        url = f"{command['url']}/{number}" if command["state"] == "played" else command["url"]
        asked = client(url, command["secret"], command["time_limit"])
        status, headers, body = await FACES[face](asked, lines, vector.get("max_age"))
        retry = {"retry_after": int(headers["retry-after"])} if "retry-after" in headers else {}
        tell({"name": vector["name"], "face": face, "outcome": outcome(status, headers, body)} | retry)

    wanted = [(number, vector) for number, vector in enumerate(VECTORS) if vector["state"] == command["state"]]
    await asyncio.gather(*(one(number, vector, face) for number, vector in wanted for face in FACES))
    tell({"done": command["state"]})


async def call(command: dict[str, Any]) -> None:
    sessions = client(command["url"], command["secret"], command["time_limit"])
    try:
        tell({"result": await getattr(sessions, command["call"])(*command["with"])})
    except (SessiondError, ValueError) as error:
        known = {name: getattr(error, name, None) for name in ("status", "type", "retry_after")}
        tell({"error": {"name": type(error).__name__} | known})


async def main() -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        await (call(command) if "call" in command else run(command))


asyncio.run(main())
