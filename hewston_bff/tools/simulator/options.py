"""How a simulated backend behaves where real ones differ, or tests cannot wait."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from hewston_bff.tools.simulator.faults import FaultPlan, RestFault


@dataclass(frozen=True, kw_only=True)
class SimulatorOptions:
    """The defaults are the real backend's, but for its speed and its deafness.

    Attributes:
        play_silence_s: Between `play` (or an SSE request) and the first frame.
        hb_interval_s: Between two heartbeat messages.
        flood_frames_per_s: None is as fast as the socket takes; the real one does about 7 000.
        sse_frames_per_s: The same over SSE; the real one does about 4 500.
        load_s_per_frame: What each frame of the run adds to that.
        deaf_while_flooding: During a WebSocket flood, and before every stream's first frame,
            nothing else is served, as in reality when the reader keeps up; see `Gate`.
        require_token: Bearer tokens, each with the runs it may see (None: all). Asked for on a
            run's detail, WebSocket and SSE; None asks for nothing.
        faults: What goes wrong on stream connections.
        rest_faults: What goes wrong on REST requests: per route (`"GET /backtests/{run_id}"`), one
            fault a request, in order, None for a healthy one.
        has_events: Runs can be streamed as Server-Sent Events.
        has_parts: `/equity` and `/orders` of a run are there, as documented but not in reality.
        ping_interval_s: Between pings to WebSocket clients; unanswered for twice as long drops
            them. None never pings.
        created_queued_s: How long a created run is QUEUED,
        created_running_s: and then RUNNING.
        crash_s: How long the backend is down after a body that crashes it.
        keepalive_s: Idle time after which a pooled connection is closed.
    """

    play_silence_s: float = 2.0
    load_s_per_frame: float = 0.0
    hb_interval_s: float = 5.0
    flood_frames_per_s: float | None = None
    sse_frames_per_s: float | None = None
    deaf_while_flooding: bool = False
    require_token: Mapping[str, Collection[str] | None] | None = None
    faults: FaultPlan = field(default_factory=FaultPlan)
    rest_faults: Mapping[str, tuple[RestFault | None, ...]] = field(default_factory=dict)
    has_events: bool = True
    has_parts: bool = False
    ping_interval_s: float | None = 20.0
    created_queued_s: float = 1.0
    created_running_s: float = 2.0
    crash_s: float = 3.0
    keepalive_s: float = 5.0


DEAF = SimulatorOptions(
    play_silence_s=0.9,
    load_s_per_frame=14e-6,
    flood_frames_per_s=8_500,
    sse_frames_per_s=4_500,
    deaf_while_flooding=True,
)
"""As slow and as deaf as the real backend was measured to be.

A year of minutes, 98 280 frames, loads in 2.3 s (measured: 2 to 2.4). Ten runs of 434 154 frames
load in 15.1 s altogether, so that the tenth first frame over Server-Sent Events comes after 15.7 s,
as measured. WebSockets pour 8 500 frames a second (5 600 to 8 500), events 4 500 (4 400 to 4 700).
"""
