"""What a client proves itself with to a source."""

from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Credentials:
    """The headers of a client that are passed on. Never shown: not in repr, logs or stats."""

    authorization: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """A digest that is the same for the same credentials and tells nothing of them."""
        text = f"{self.authorization or ''}\0{self.cookie or ''}"
        return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def headers(self) -> dict[str, str]:
        """The request headers that carry them."""
        pairs = (("Authorization", self.authorization), ("Cookie", self.cookie))
        return {name: value for name, value in pairs if value is not None}
