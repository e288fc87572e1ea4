"""Topics: what a client watches, by kind and name."""

from typing import NamedTuple


class Topic(NamedTuple):
    """`kind:name` on the wire. A run's name is its id."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


RUN = "run"
"""The kind that `run_id` means on the wire."""


def parse_topic(text: str) -> Topic | None:
    """`kind:name` as a topic; None if it is not of that form. A name may hold colons."""
    kind, colon, name = text.partition(":")
    return Topic(kind, name) if kind and colon and name else None
