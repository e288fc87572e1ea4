"""The credentials of a client, as its source needs them."""

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client's headers that go to the backend. Never in a repr, a log or a stat."""

    authorization: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """A digest: equal for equal credentials, and it reveals nothing of them."""
        text = f"{self.authorization or ''}\0{self.cookie or ''}"
        return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def headers(self) -> dict[str, str]:
        """The request headers that carry them."""
        pairs = (("Authorization", self.authorization), ("Cookie", self.cookie))
        return {name: value for name, value in pairs if value is not None}


class Scope(StrEnum):
    """What an API key may be good for."""

    BUS = "bus"
    """Topics of the kinds `bus` and `system`."""
    JOBS = "jobs"
    ORDERS = "orders"
    STATS = "stats"


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """Who asks for what the backend knows nothing of: topics, jobs, figures of the service.

    `is_trusted`: a page of an allowed origin, or a client on this machine; enough while no keys
    are configured. The key is never in a repr, a log or a stat, and goes to no backend.
    """

    key: str | None = field(default=None, repr=False)
    is_trusted: bool = False


NOBODY = ApiCaller()
"""A caller without a key, from elsewhere."""
