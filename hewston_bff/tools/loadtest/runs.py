"""Which runs there are to test with."""

import aiohttp
import msgspec
from yarl import URL

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_LIMIT = "500"
PLAYABLE = frozenset({"DONE", "COMPLETED"})


class NoRuns(Exception):
    """The server named no run to watch; `problem` says why."""

    def __init__(self, url: URL, problem: str) -> None:
        super().__init__(f"{url} {problem}")


class _Item(msgspec.Struct):
    run_id: str
    status: str


class _RunsPage(msgspec.Struct):
    items: list[_Item]


async def finished_runs(url: URL, *, token: str | None) -> tuple[str, ...]:
    """The runs of `GET {url}/backtests` that are done, newest first.

    Raises:
        NoRuns: it did not answer, not as it should, or knows none.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    address = url / "backtests" % {"limit": _LIMIT}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(address, headers=headers) as response,
        ):
            status, body = response.status, await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise NoRuns(url, "does not answer") from exc
    if status != 200:
        raise NoRuns(address, f"answers HTTP {status}")
    try:
        page = msgspec.json.decode(body, type=_RunsPage)
    except msgspec.DecodeError as exc:
        raise NoRuns(address, "answers something else than a list of runs") from exc
    runs = tuple(item.run_id for item in page.items if item.status in PLAYABLE)
    if not runs:
        raise NoRuns(url, "has no run that is done")
    return runs
