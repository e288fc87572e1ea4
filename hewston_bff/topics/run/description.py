"""The backend's description of a run, as far as its topic needs it."""

from dataclasses import dataclass, field

from hewston_bff.topics.run.identity import NOTHING_TOLD, RunIdentity


@dataclass(frozen=True, slots=True)
class RunDescription:
    """One answer of the backend; None for what it does not say."""

    status: str | None = None
    progress: float | None = None
    identity: RunIdentity = NOTHING_TOLD
    """Which run it is: the backend reuses ids."""
    asked_s: float = field(default=0.0, compare=False)
    told_s: float = field(default=0.0, compare=False)
    """When the backend was asked, and when it answered; loop time."""
    days: float | None = field(default=None, compare=False)
    """How many days of trading the run covers."""

    def is_overtaken(self, by: "RunDescription") -> bool:
        """Whether it was asked for before the other answer came, and may be older than that."""
        return self.asked_s < by.told_s
