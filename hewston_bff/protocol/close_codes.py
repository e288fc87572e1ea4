"""Why a socket is closed, as its close frame says."""

from enum import IntEnum


class CloseCode(IntEnum):
    """Why we close a client's socket. From 4400 on, and 1000, the client does not come back."""

    NORMAL = 1000
    GOING_AWAY = 1001
    TOO_BIG = 1009
    INTERNAL = 1011
    SERVICE_RESTART = 1012
    TOO_MANY = 1013
    STALLED = 4008
    MALFORMED = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    NOTHING_SUBSCRIBED = 4408
    ABUSED = 4429


INTERNAL_REASON = "something went wrong here, and was logged: come back and resume"
"""Of a close with INTERNAL."""
