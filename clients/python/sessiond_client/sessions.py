"""Who has sent a request, and the calls that begin and end sessions.

Must never take "unavailable" for "signed out", keep a yes, receive the body of the request, or tell the secret or a
cookie in an error.
"""

import ipaddress
import json
import re
import uuid
from collections.abc import Callable, MutableMapping
from email.utils import mktime_tz, parsedate_tz
from http.client import HTTPException, HTTPMessage
from ssl import SSLContext
from typing import Any
from urllib.parse import quote, urlencode

from .outcomes import Check, Session, SignedIn, SignedOut, StepUp, Unavailable
from .wire import Wire

LONGEST_COOKIE = 4096  # browsers keep none that is longer; escaped it still fits into what the server reads
SLACK = 60  # how far the clocks of two nodes may be apart, in seconds
RETRY_AFTER = 5
Scope = MutableMapping[str, Any]


class SessiondError(Exception):
    """A call that was refused (`status`, `type`) or not answered (`status` is 0)."""

    def __init__(self, message: str, status: int = 0, type: str = "", retry_after: int = RETRY_AFTER) -> None:
        super().__init__(message)
        self.status, self.type, self.retry_after = status, type, retry_after


class Sessions:
    """`url` is the base address of sessiond, `secret` a service's, and `time_limit` the seconds for a whole call."""

    def __init__(
        self, url: str, secret: str, *, cookie_name: str = "__Host-session", time_limit: float = 2,
        claims: bool = False, ip: Callable[[Scope], str | None] = lambda scope: None, context: SSLContext | None = None,
    ) -> None:
        if not re.fullmatch(r"sd_svc_[\w-]+", secret, re.ASCII):
            raise ValueError("`secret` is not the secret of a service")
        self._wire = Wire(url, time_limit, context)
        self._headers = {"Accept": "application/json", "Authorization": f"Bearer {secret}"}
        self._cookie_name, self._claims, self._ip = cookie_name.encode(), claims, ip

    def token(self, scope: Scope) -> str | None:
        """The value of the session cookie; None if there is none or more than one: another party may have set any."""
        pairs = b";".join(line for name, line in scope["headers"] if name.lower() == b"cookie").split(b";")
        # What is not UTF-8 hides only its own cookie. Browsers trim spaces and tabs, and no other white space.
        texts = [pair.partition(b"=") for pair in pairs if pair.decode(errors="ignore").encode() == pair]
        values = [value.strip(b" \t") for name, eq, value in texts if eq and name.strip(b" \t") == self._cookie_name]
        return values[0].decode() if len(values) == 1 and 0 < len(values[0]) <= LONGEST_COOKIE else None

    async def check(self, scope: Scope, *, max_age: int | None = None) -> Check:
        """Who has sent this request. Never raises for what sessiond or the network does."""
        if (token := self.token(scope)) is None:
            return SignedOut()
        form = {"token": token} | ({"claims": "true"} if self._claims else {}) | _address(self._ip(scope))
        try:
            content = {"Content-Type": "application/x-www-form-urlencoded"}
            return _judged(*await self._ask(200, "POST", "/introspect", urlencode(form), content), max_age)
        except (SessiondError, ValueError, OverflowError) as error:
            return Unavailable(str(error), getattr(error, "retry_after", RETRY_AFTER))

    async def issue(self, user: dict[str, Any], *, idempotency_key: str | None = None) -> dict[str, Any]:
        """Begins a session: the body of `POST /issue`, and its answer, whose `cookie.set_cookie` is for the browser."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return (await self._ask(201, "POST", "/issue", json.dumps(user), headers))[0]

    async def end_all(self, subject: str) -> int:
        """Ends all sessions of a subject; tells how many."""
        return int((await self._ask(200, "DELETE", f"/subjects/{_segment(subject)}/sessions"))[0]["revoked"])

    async def end_session(self, subject: str, sid: str) -> None:
        await self._ask(204, "DELETE", f"/subjects/{_segment(subject)}/sessions/{_segment(sid)}")

    async def _ask(
        self, expected: int, method: str, path: str, body: str = "", more: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], HTTPMessage]:
        try:
            response, content = await self._wire.send(method, path, self._headers | (more or {}), body.encode())
            is_json = response.headers.get_content_type() in ("application/json", "application/problem+json")
            told = json.loads(content) if is_json and content else {}
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            raise SessiondError(f"sessiond does not answer ({type(error).__name__})") from error
        told = told if isinstance(told, dict) else {}
        if response.status == expected:
            return told, response.headers
        kind, seconds = str(told.get("type", "")), response.headers.get("retry-after", "")
        wait = max(1, int(seconds)) if re.fullmatch(r"\d{1,4}", seconds, re.ASCII) else RETRY_AFTER
        what = f"sessiond answers {method} {path.split('/')[1]} with {response.status} {kind}"
        raise SessiondError(what, response.status, kind, wait)


def _judged(told: dict[str, Any], headers: HTTPMessage, max_age: int | None) -> Check:
    ids, times = [told.get("sub"), told.get("sid")], [told.get("exp"), told.get("iat"), told.get("auth_time", 0)]
    if told.get("active") is False:
        return SignedOut()
    if told.get("active") is not True or not all(type(it) is str and it for it in ids) or {*map(type, times)} != {int}:
        raise SessiondError("the answer is not one of introspection", 200)
    session = Session(told["sub"], told["sid"], told["exp"], told["iat"], told.get("auth_time"), told)
    # By the clock that wrote `auth_time`, because ours may be wrong. Without a date nothing is recent.
    date, proven = parsedate_tz(headers.get("date", "")), session.auth_time
    recent = date and proven is not None and -SLACK <= mktime_tz(date) - proven <= (max_age or 0)
    return SignedIn(session) if recent or max_age is None else StepUp(session, max_age)


def _address(ip: str | None) -> dict[str, str]:
    try:
        return {"ip": str(ipaddress.ip_address((ip or "").partition("%")[0]))}
    except ValueError:
        return {}


def _segment(text: str) -> str:
    if text in ("", ".", ".."):  # escaped or not, they lead to another path
        raise ValueError("an address cannot name this subject or session")
    return quote(text, safe="")
