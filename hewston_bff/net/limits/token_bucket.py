"""A token bucket: the limit on the messages of one client."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """At most `rate_per_s` a second, with bursts of up to one second's worth; full at first."""

    rate_per_s: float
    tokens: float
    filled_at_s: float
    refused: int = 0
    """Refusals that as many tokens taken since have not made up for."""

    @classmethod
    def full(cls, *, rate_per_s: float, now_s: float) -> "TokenBucket":
        """A full bucket."""
        return cls(rate_per_s, rate_per_s, now_s)

    def take(self, *, now_s: float) -> bool:
        """Take one token; whether there was one."""
        refill = (now_s - self.filled_at_s) * self.rate_per_s
        self.tokens = min(self.rate_per_s, self.tokens + refill)
        self.filled_at_s = now_s
        if self.tokens < 1:
            self.refused += 1
            return False
        self.tokens -= 1
        self.refused = max(0, self.refused - 1)
        return True
