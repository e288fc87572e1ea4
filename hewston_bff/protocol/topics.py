"""Topics: what clients watch, by kind and name."""

from typing import NamedTuple


class Topic(NamedTuple):
    """Written `kind:name`. The name of a run is its id."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


RUN = "run"
"""The kind that `run_id` stands for in messages."""

BUS = "bus"
JOB = "job"
SYSTEM = "system"
EVENT_KINDS = frozenset({BUS, JOB, SYSTEM})
"""The kinds that carry events: names may be patterns, `subscribe` has members of its own."""


def parse_topic(text: str) -> Topic | None:
    """Parse `kind:name`; None if it has another form. A name may hold colons."""
    kind, colon, name = text.partition(":")
    return Topic(kind, name) if kind and colon and name else None
