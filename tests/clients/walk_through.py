"""The README's walk-through, and an administrator's, by the client that openapi-python-client made of the document.

    walk_through.py DOCUMENT URL ADMINISTRATOR PASSWORD        (with the folder of `client` in PYTHONPATH)

Every answer on the way has a status, headers and a body that the document describes.
"""

import json
import re
import sys

import httpx
from jsonschema import Draft202012Validator

from client import Client
from client.api.administrators import find_sessions, get_user, list_alerts, list_audit_events, list_user_sessions
from client.api.administrators import list_users, put_user_roles, revoke_any_session, revoke_matching_sessions
from client.api.anyone import get_session, login, register
from client.api.gateways import forward_auth
from client.api.operators import check_ready, get_openapi
from client.api.signed_in import change_password, get_me, list_sessions, logout, reauthenticate, revoke_session
from client.api.signed_in import revoke_sessions, update_me
from client.models import ChangePassword, Login, Problem, ProblemType, PutRoles, Reauthenticate, Register, Rename
from client.models import RevokeMatching, Role, SessionFilter

with open(sys.argv[1]) as file:
    DOCUMENT = json.load(file)
URL, ADMINISTRATOR, ADMINISTRATORS_PASSWORD = sys.argv[2:]

# What an answer can have that a client goes by: each is described where it comes.
HEADERS = {
    "allow", "clear-site-data", "etag", "location", "ratelimit", "ratelimit-policy", "retry-after", "set-cookie",
    "www-authenticate", "x-request-id", "x-session-actor", "x-session-authenticated-at", "x-session-csrf", "x-session-id", "x-session-user",
}


def described(answer):
    """Holds an answer to the document."""
    request = answer.request
    for template, item in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.url.path) and request.method.lower() in item:
            operation = item[request.method.lower()]
            break
    where = f"{request.method} {request.url.path}: {answer.status_code}"
    told = operation["responses"].get(str(answer.status_code))
    assert told, f"{where} is not described"
    headers = {name.lower() for name in told.get("headers", {})}
    left_out = HEADERS & set(answer.headers) - headers
    assert not left_out, f"{where} has headers that are not described: {left_out}"
    answer.read()
    content = told.get("content", {})
    assert bool(content) == bool(answer.content), f"{where}: {answer.content}"
    if content:
        media = content[answer.headers["content-type"]]
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(answer.json())


def browser():
    """A client with cookies of its own. They are Secure: here, where there is no https, httpx would keep them to itself."""

    def keep(_):
        for cookie in httpx_client.cookies.jar:
            cookie.secure = False

    httpx_client = httpx.Client(base_url=URL, event_hooks={"response": [keep, described]})
    return Client(URL, raise_on_unexpected_status=True).set_httpx_client(httpx_client)


def is_problem(answer, kind):
    assert isinstance(answer, Problem) and answer.type_ == kind, answer


here, there = browser(), browser()
email, password = "ana@example.org", "correct horse battery"

assert get_session.sync(client=here) is None
user = register.sync(client=here, body=Register(email, password)).user
assert (user.email, user.name, user.roles) == (email, None, [Role.USER])
is_problem(register.sync(client=here, body=Register(email, password)), ProblemType.EMAIL_TAKEN)
refused = register.sync(client=here, body=Register("ben@example.org", "short"))
is_problem(refused, ProblemType.INVALID_BODY)
assert [error.field for error in refused.errors] == ["password"]

is_problem(login.sync(client=here, body=Login(email, "not this one")), ProblemType.WRONG_CREDENTIALS)
assert login.sync(client=here, body=Login(email, password)).user.id == user.id
me = get_me.sync(client=here)
assert me.user == user and me.session.created_at <= me.session.expires_at
assert get_session.sync(client=here).session.id == me.session.id

other = login.sync(client=there, body=Login(email, password)).session
sessions = list_sessions.sync(client=here).sessions
assert {session.id: session.current for session in sessions} == {me.session.id: True, other.id: False}
gone = revoke_session.sync_detailed(other.id, client=here)
assert gone.status_code == 204 and gone.parsed is None, gone
is_problem(revoke_session.sync(user.id, client=here), ProblemType.NOT_FOUND)
is_problem(get_me.sync(client=there), ProblemType.UNAUTHENTICATED)
is_problem(revoke_session.sync(other.id, client=here, x_csrf_token="of nobody"), ProblemType.WRONG_CSRF_TOKEN)

assert update_me.sync(client=here, body=Rename("Ana Silva")).user.name == "Ana Silva"
assert update_me.sync(client=here, body=Rename(None)).user.name is None
is_problem(reauthenticate.sync(client=here, body=Reauthenticate("not this one")), ProblemType.WRONG_PASSWORD)
assert reauthenticate.sync(client=here, body=Reauthenticate(password)).session.id == me.session.id
change_password.sync(client=here, body=ChangePassword(password, "four other plain words"))
assert revoke_sessions.sync(client=here).revoked == 0
assert forward_auth.sync_detailed(client=here).headers["X-Session-User"] == str(user.id)
is_problem(list_users.sync(client=here), ProblemType.FORBIDDEN)

desk = browser()
administrator = login.sync(client=desk, body=Login(ADMINISTRATOR, ADMINISTRATORS_PASSWORD)).user
assert administrator.roles == [Role.USER, Role.ADMIN]
page = list_users.sync(client=desk, limit=1)
assert len(page.users) == 1 and page.users[0].disabled_at is None
assert len(list_users.sync(client=desk, cursor=page.next_cursor).users) == 1
is_problem(list_users.sync(client=desk, cursor="of nobody"), ProblemType.INVALID_BODY)
detail = get_user.sync(user.id, client=desk)
assert [session.id for session in detail.sessions] == [me.session.id]
assert [session.id for session in detail.history] == [other.id], detail.history
assert detail.history[0].end_reason == "signed_out_elsewhere", detail.history
assert list_user_sessions.sync(user.id, client=desk).sessions[0].asn is None
assert find_sessions.sync(client=desk, filteruser=user.id).sessions[0].user_email == email
assert list_alerts.sync(client=desk).alerts == []
events = list_audit_events.sync(client=desk, filteruser=user.id, filterafter=user.created_at).events
assert "user_created" in {event.event for event in events}, events
last = put_user_roles.sync(administrator.id, client=desk, body=PutRoles([Role.USER]))
is_problem(last, ProblemType.LAST_ADMINISTRATOR)
counted = revoke_matching_sessions.sync(client=desk, body=RevokeMatching(SessionFilter(user=user.id), dry_run=True))
assert (counted.matched, counted.revoked, counted.next_cursor) == (1, 0, None)
assert revoke_any_session.sync_detailed(me.session.id, client=desk).status_code == 204
is_problem(get_me.sync(client=here), ProblemType.UNAUTHENTICATED)

assert check_ready.sync(client=desk).ready
assert get_openapi.sync(client=desk).additional_properties == DOCUMENT
assert logout.sync_detailed(client=desk).status_code == 204
is_problem(get_me.sync(client=desk), ProblemType.UNAUTHENTICATED)
