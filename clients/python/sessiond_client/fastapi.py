"""A dependency for FastAPI, and the exception by which it refuses a request."""

from collections.abc import Awaitable, Callable

from fastapi import HTTPException, Request, Response
from fastapi.requests import HTTPConnection

from .outcomes import Session, SignedIn, SignedOut, StepUp, Unavailable, problem
from .sessions import Sessions


class Refused(HTTPException):
    """401, 403 or 503. `app.add_exception_handler(Refused, refused)` makes its answer problem+json."""

    def __init__(self, check: SignedOut | StepUp | Unavailable) -> None:
        status, headers, self.body = problem(check)
        super().__init__(status, type(check).__name__, headers)


async def refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return Response(error.body, error.status_code, error.headers)


def require(sessions: Sessions, *, max_age: int | None = None) -> Callable[[HTTPConnection], Awaitable[Session]]:
    """`session: Annotated[Session, Depends(require(sessions))]`"""

    async def signed_in(connection: HTTPConnection) -> Session:
        check = await sessions.check(connection.scope, max_age=max_age)
        if isinstance(check, SignedIn):
            return check.session
        raise Refused(check)

    return signed_in
