"""The run, a kind of topic."""

from datetime import UTC, datetime

from msgspec import UNSET

from hewston_bff.log.changes import LinkChange, Status
from hewston_bff.ports import Delivery, Intake
from hewston_bff.protocol.ids import RunId, parse_run_id
from hewston_bff.protocol.notices import RunNews, SkippedFrames, UpstreamNews
from hewston_bff.protocol.topics import RUN, Topic
from hewston_bff.topics.run.backend_activity import BackendActivity
from hewston_bff.topics.run.codec import RunCodec
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.descriptions import RunDescriptions
from hewston_bff.topics.run.feed import FeedOptions, RunSource
from hewston_bff.topics.run.frame_block import FrameLog, frame_log
from hewston_bff.topics.run.ports import Backend
from hewston_bff.topics.run.replay_limiter import ReplayLimiter


class RunKind:
    """See `ports.TopicKind`."""

    name = RUN
    delivery = Delivery.CONFLATE

    def __init__(
        self,
        backend: Backend,
        *,
        descriptions: RunDescriptions,
        limiter: ReplayLimiter,
        activity: BackendActivity,
        options: FeedOptions,
    ) -> None:
        self._backend = backend
        self._descriptions = descriptions
        descriptions.heard = self._hear
        self._limiter = limiter
        self._activity = activity
        self._options = options
        self._sources: dict[RunId, RunSource] = {}

    def has(self, name: str) -> bool:
        """See `ports.TopicKind`."""
        return parse_run_id(name) is not None

    def new_log(self, topic: Topic) -> FrameLog:
        """See `ports.TopicKind`."""
        return frame_log(RunId(topic.name))

    def codec(self, log: FrameLog) -> RunCodec:
        """See `ports.TopicKind`."""
        return RunCodec(log)

    def open(self, topic: Topic, intake: Intake) -> RunSource:
        """See `ports.TopicKind`."""
        run_id = RunId(topic.name)
        source = self._sources[run_id] = RunSource(
            run_id,
            intake,
            backend=self._backend,
            descriptions=self._descriptions,
            limiter=self._limiter,
            activity=self._activity,
            options=self._options,
            closed=lambda: self._closed(run_id),
        )
        return source

    def _closed(self, run_id: RunId) -> None:
        self._sources.pop(run_id, None)

    def news(self, topic: Topic, status: Status, skipped: SkippedFrames | None) -> RunNews | None:
        """See `ports.TopicKind`."""
        return run_news(topic, status, skipped)

    def link_news(self, topic: Topic, link: LinkChange) -> UpstreamNews | None:
        """See `ports.TopicKind`."""
        return upstream_news(topic, link)

    # -- what is known of a run

    def _hear(self, run_id: RunId, description: RunDescription) -> None:
        source = self._sources.get(run_id)
        if source is not None:
            source.hear(description)

    def known_status(self, run_id: RunId) -> str | None:
        """The status of a run as last heard from the backend."""
        source = self._sources.get(run_id)
        return None if source is None else source.state.status

    def lacks_frames(self, run_id: RunId) -> bool:
        """Whether frames of a run's log are known to be missing or incomplete."""
        source = self._sources.get(run_id)
        return source is not None and source.state.skips.frames > 0


def run_news(topic: Topic, status: Status, skipped: SkippedFrames | None) -> RunNews | None:
    """The `run` message; None while nothing is known."""
    if status.status is None:
        return None
    return RunNews(
        run_id=RunId(topic.name),
        status=status.status,
        progress=status.progress,
        updated_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        skipped=skipped or UNSET,
    )


def upstream_news(topic: Topic, link: LinkChange) -> UpstreamNews | None:
    """The `upstream` message; None while there is no connection to speak of."""
    run_id = RunId(topic.name)
    match link.status:
        case None:
            return None
        case "retrying":
            return UpstreamNews(
                run_id=run_id,
                status="retrying",
                attempt=link.attempt,
                retry_in_ms=link.retry_in_ms,
            )
        case "connecting" if link.state == "connecting":
            return UpstreamNews(run_id=run_id, status="connecting", attempt=link.attempt + 1)
        case status:
            return UpstreamNews(run_id=run_id, status=status)
