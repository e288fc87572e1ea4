"""Waiting times between attempts."""


def full_jitter(attempt: int, *, base_s: float, cap_s: float, jitter: float) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1).

    Evenly spread between 0 and min(cap, base · 2^(attempt − 1)); `jitter` in 0…1 is the random
    part, passed in. Source: the "full jitter" of exponential backoff.
    """
    ceiling = cap_s if attempt > 32 else min(cap_s, base_s * 2.0 ** (attempt - 1))
    return jitter * ceiling
