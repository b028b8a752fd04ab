"""ASGI middleware: only signed-in requests reach the application. Must never receive from the client."""

from collections.abc import Awaitable, Callable
from typing import Any

from .outcomes import SignedIn, SignedOut, problem
from .sessions import Scope, Sessions

App = Callable[..., Awaitable[None]]


class RequireSession:
    """Puts the session into `scope["state"]["session"]`, or answers 401, 403 or 503.

    `optional` lets a signed-out request pass, with None.
    """

    def __init__(self, app: App, sessions: Sessions, *, max_age: int | None = None, optional: bool = False) -> None:
        self._app, self._sessions, self._max_age, self._optional = app, sessions, max_age, optional

    async def __call__(self, scope: Scope, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        check = await self._sessions.check(scope, max_age=self._max_age)
        if isinstance(check, SignedIn) or (self._optional and isinstance(check, SignedOut)):
            scope.setdefault("state", {})["session"] = check.session if isinstance(check, SignedIn) else None
            return await self._app(scope, receive, send)
        prefix = "websocket." if scope["type"] == "websocket" else ""
        if prefix and "websocket.http.response" not in (scope.get("extensions") or {}):
            return await send({"type": "websocket.close", "code": 1008})
        status, headers, body = problem(check)
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": f"{prefix}http.response.start", "status": status, "headers": lines})
        await send({"type": f"{prefix}http.response.body", "body": body})
