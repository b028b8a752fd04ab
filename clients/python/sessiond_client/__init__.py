"""Sessions of sessiond in an ASGI application: who has sent this request, and the calls that begin and end sessions.

`Sessions.check` has four outcomes. *Unavailable is never signed out*, and no yes is kept.
"""

from .asgi import RequireSession as RequireSession
from .outcomes import Check as Check, Session as Session
from .outcomes import SignedIn as SignedIn, SignedOut as SignedOut, StepUp as StepUp, Unavailable as Unavailable
from .sessions import SessiondError as SessiondError, Sessions as Sessions
