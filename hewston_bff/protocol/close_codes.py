"""Close codes of clients' sockets."""

from enum import IntEnum


class CloseCode(IntEnum):
    """Why a client's socket is closed. After 1000, and from 4400 on, it does not reconnect."""

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


INTERNAL_REASON = "an error on this server, which was logged: reconnect and resume"
"""The reason of a close with INTERNAL."""
