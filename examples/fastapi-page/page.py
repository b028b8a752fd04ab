"""A page with users and a sign-in form of its own. Their sessions are at sessiond:

    pip install -r requirements.txt ../../clients/python
    SESSIOND_URL=http://127.0.0.1:8080/auth SESSIOND_SECRET=sd_svc_… ANAS_PASSWORD=… uvicorn page:app --port 3000

The service needs the scopes issue, introspect and revoke. A proxy puts the page and sessiond under one host:
docs/services.md shows one. What is not here: a limit on attempts to sign in.
"""

import asyncio
import hashlib
import hmac
import html
import os
import secrets
import sqlite3
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.middleware.base import RequestResponseEndpoint

from sessiond_client import Session, SessiondError, Sessions, SignedIn, SignedOut
from sessiond_client.fastapi import Refused, refused, require

sessions = Sessions(
    os.environ["SESSIOND_URL"],
    os.environ["SESSIOND_SECRET"],
    ip=lambda scope: scope["client"][0],  # uvicorn takes it from the proxy's X-Forwarded-For
)
app = FastAPI(openapi_url=None)
app.add_exception_handler(Refused, refused)

# --- our users ------------------------------------------------------------------------------------------------

users = sqlite3.connect(os.environ.get("USERS", "users.db"), isolation_level=None)
# `at_sessiond` is the user's id there, which `/issue` tells: with it a check needs no query about the user.
users.execute(
    "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT, salt BLOB, hash BLOB,"
    " at_sessiond TEXT UNIQUE)"
)


def hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=16384, r=8, p=1)


def add(email: str, name: str, password: str) -> None:
    salt = secrets.token_bytes(16)
    row = (email, name, salt, hashed(password, salt))
    users.execute("INSERT OR IGNORE INTO users (email, name, salt, hash) VALUES (?, ?, ?, ?)", row)


async def verified(email: str, password: str) -> tuple[int, str] | None:
    row = users.execute("SELECT id, name, salt, hash FROM users WHERE email = ?", (email,)).fetchone()
    # An address that nobody has costs as much as one that somebody has.
    number, name, salt, expected = row or (0, "", secrets.token_bytes(16), secrets.token_bytes(64))
    equal = hmac.compare_digest(await asyncio.to_thread(hashed, password, salt), expected)
    return (number, name) if row and equal else None


def name_of(session: Session) -> str | None:
    row = users.execute("SELECT name FROM users WHERE at_sessiond = ?", (session.sub,)).fetchone()
    return row[0] if row else None


add("ana@example.org", "Ana Silva", os.environ["ANAS_PASSWORD"])

# --- our pages ------------------------------------------------------------------------------------------------

FORM = """<h1>Page</h1><form method="post" action="/sign-in">
  <label>E-mail <input id="email" name="email" type="email" autocomplete="username"></label>
  <label>Password <input id="password" name="password" type="password" autocomplete="current-password"></label>
  <button id="sign-in">Sign in</button></form>"""
Signed = Annotated[Session, Depends(require(sessions))]
# Whoever finds an open browser must not see everything: this wants a recent proof.
SignedRecently = Annotated[Session, Depends(require(sessions, max_age=int(os.environ.get("RECENT", "300"))))]


def page(body: str, status: int = 200) -> HTMLResponse:
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Page</title><link rel="icon" href="data:,">'
    return HTMLResponse(head + body, status)


@app.middleware("http")
async def guarded(request: Request, call_next: RequestResponseEndpoint) -> Response:
    # No page of others signs anybody in or out here.
    if request.method == "POST" and request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return Response("From another site.", 403)
    response = await call_next(request)
    response.headers["Cache-Control"] = "no-store"
    return response


@app.exception_handler(SessiondError)
async def sessiond_error(request: Request, error: SessiondError) -> Response:
    if error.type == "urn:sessiond:problem:user-disabled":
        return Response("This account is closed.", 403)
    return Response("Please try again in a moment.", 503, {"Retry-After": str(error.retry_after)})


@app.get("/")
async def home(request: Request) -> Response:
    """A page for everybody: it says who is signed in. If nobody can say, it is 503."""
    match await sessions.check(request.scope):
        case SignedIn(session) if name := name_of(session):
            return page(f"""<h1>Page</h1><p id="who">Signed in as {html.escape(name)}.</p>
                <p><a href="/orders">My orders</a> <a href="/auth/account">My sessions</a></p>
                <form method="post" action="/sign-out"><button id="sign-out">Sign out</button></form>""")
        case SignedIn() | SignedOut():
            return page(FORM)
        case refusal:
            raise Refused(refusal)


@app.post("/sign-in")
async def sign_in(request: Request) -> Response:
    fields = parse_qs((await request.body()).decode(errors="replace"))
    user = await verified(fields.get("email", [""])[0], fields.get("password", [""])[0])
    if user is None:
        return page(f'<p id="wrong">Wrong address or password.</p>{FORM}', 401)
    number, name = user
    issued = await sessions.issue({
        "subject": f"page-{number}",
        "name": name,
        "ip": request.scope["client"][0],
        "user_agent": request.headers.get("user-agent"),
        "replaces": sessions.token(request.scope),
    })
    users.execute("UPDATE users SET at_sessiond = ? WHERE id = ?", (issued["user"]["id"], number))
    return RedirectResponse("/", 303, {"Set-Cookie": issued["cookie"]["set_cookie"]})


@app.post("/sign-out")
async def sign_out(session: Signed) -> Response:
    row = users.execute("SELECT id FROM users WHERE at_sessiond = ?", (session.sub,)).fetchone()
    if row:
        await sessions.end_session(f"page-{row[0]}", session.sid)
    return RedirectResponse("/", 303)


@app.get("/orders")
async def orders(session: Signed) -> dict[str, Any]:
    return {"name": name_of(session), "orders": [{"id": 1, "what": "A teapot"}]}


@app.get("/address")
async def address(session: SignedRecently) -> dict[str, Any]:
    return {"name": name_of(session), "address": "Rua das Flores 7, Porto"}
