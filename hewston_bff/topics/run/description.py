"""What the backend says of a run as a whole."""

from dataclasses import dataclass, field

from hewston_bff.topics.run.identity import NOTHING_TOLD, RunIdentity


@dataclass(frozen=True, slots=True)
class RunDescription:
    """One answer of the backend's; None for what it does not say."""

    status: str | None = None
    progress: float | None = None
    identity: RunIdentity = NOTHING_TOLD
    """Which run it is: an id can be made anew."""
    asked_s: float = field(default=0.0, compare=False)
    told_s: float = field(default=0.0, compare=False)
    """When the backend was asked, and when it had answered; seconds of the loop."""
    days: float | None = field(default=None, compare=False)
    """How many days of the market the run goes over."""

    def is_overtaken(self, by: "RunDescription") -> bool:
        """Whether it was asked for before the other answer came, and may be of before it."""
        return self.asked_s < by.told_s
