"""What the payloads of a simulated node have in common."""

from random import Random
from typing import Final
from uuid import UUID

import msgspec

TRADER_ID: Final = "DEMO-001"

json_bytes = msgspec.json.Encoder().encode


def event_id(rng: Random) -> str:
    """A random UUID, by this generator."""
    return str(UUID(int=rng.getrandbits(128), version=4))
