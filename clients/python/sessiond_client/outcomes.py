"""The four outcomes of a check, and the answers that refuse a request.

Must never answer "unavailable" as "signed out".
"""

import json
from typing import Any, NamedTuple, TypeAlias

URN = "urn:sessiond:problem:"


class Session(NamedTuple):
    """A live session, as `POST /introspect` tells about it. Times are seconds since 1970. Keep no yes."""

    sub: str  # the user's id at sessiond: `user.id` of the answer to `issue`
    sid: str
    exp: int
    iat: int
    auth_time: int | None  # the last proof of identity; None if that no longer counts
    told: dict[str, Any]  # the whole answer; with `claims=True` also subject, username, name, roles and claims


class SignedIn(NamedTuple):
    session: Session


class SignedOut(NamedTuple):
    pass


class StepUp(NamedTuple):
    session: Session
    max_age: int


class Unavailable(NamedTuple):
    reason: str
    retry_after: int


Check: TypeAlias = SignedIn | SignedOut | StepUp | Unavailable


def problem(check: SignedOut | StepUp | Unavailable) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer (RFC 9457)."""
    headers = {"content-type": "application/problem+json", "cache-control": "no-store"}
    body: dict[str, Any]
    match check:
        case SignedOut():
            body = dict(type=URN + "unauthenticated", title="Not signed in", status=401)
            headers["www-authenticate"] = 'Cookie realm="sessiond"'
        case StepUp(_, max_age):
            body = dict(type=URN + "step-up-required", title="Recent sign-in required", status=403, max_age=max_age)
        case Unavailable(_, seconds):
            body = dict(type=URN + "unavailable", title="Temporarily unavailable", status=503)
            headers["retry-after"] = str(seconds)
    return body["status"], headers, json.dumps(body).encode()
