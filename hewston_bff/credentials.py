"""The credentials of a client, as its source needs them."""

from dataclasses import dataclass, field
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
