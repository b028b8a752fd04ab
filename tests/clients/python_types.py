"""What the types of clients/python allow, and what they refuse: an error that is expected and does not come is one itself."""

from typing import assert_never

from sessiond_client import Check, Sessions, SignedIn, SignedOut, StepUp, Unavailable

sessions = Sessions("http://127.0.0.1:8080/auth", "sd_svc_x", ip=lambda scope: None)


def told(check: Check) -> str | int:
    match check:
        case SignedIn(session):
            return session.sub
        case SignedOut():
            return "nobody"
        case StepUp(session, max_age):
            return session.auth_time or max_age
        case Unavailable(reason, retry_after):
            return reason + str(retry_after)
        case _:
            assert_never(check)


def forgets_one(check: Check) -> str:
    if isinstance(check, SignedIn):
        return check.session.auth_time  # type: ignore[return-value]
    return check.session.sub  # type: ignore[union-attr]


async def uses() -> int:
    await sessions.check({"headers": []}, max_age="300")  # type: ignore[arg-type]
    await sessions.issue()  # type: ignore[call-arg]
    return await sessions.end_all("user-4711")
