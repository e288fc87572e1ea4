"""Redis Streams for the bus source: plain commands on a connection of their own.

No pool, no retries (the source waits between attempts), no consumer groups. Replies are taken as
they come on the wire: thousands of entries a second leave no time for a library's conversions.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from hewston_bff.events.event import EntryId
from hewston_bff.topics.bus.ports import (
    Batch,
    BusConnection,
    BusUnavailable,
    KeyPage,
    KeyState,
    Missing,
    NoStream,
    OtherType,
    Range,
    StreamEntry,
    StreamInfo,
)

# ruff: noqa: PLC0415 - a tenth of a second and some MiB, spared where there is no Redis

ANSWER_S: Final = 3.0
"""Within this time Redis answers, or counts as gone; reading may block for less on top of it."""
_SCAN_COUNT: Final = 1_000
_REASONS: Final = {
    "NOAUTH": "Redis asks for a password",
    "LOADING": "Redis is still loading its data",
    "NOPERM": "Redis does not permit a command that is needed",
    "MASTERDOWN": "Redis has lost its master",
}

Command = tuple[str | bytes | int, ...]
Reply = Any


class RedisBus:
    """Implements `BusServer`. The address may hold a password: it is in no repr and no message."""

    def __init__(self, url: str, *, answer_s: float = ANSWER_S) -> None:
        self._url = url
        self._answer_s = answer_s

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[BusConnection]:
        """See `BusServer`."""
        connection = self._connection()
        opened = _Connection(connection, answer_s=self._answer_s)
        try:
            await opened.open()
            yield opened
        finally:
            await connection.disconnect(nowait=True)

    def _connection(self) -> Any:  # noqa: ANN401 - a type of the library would import it
        from redis.asyncio.connection import ConnectionPool, parse_url
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.maint_notifications import MaintNotificationsConfig

        try:
            address: dict[str, Any] = dict(parse_url(self._url))
        except ValueError:
            raise BusUnavailable("the address of Redis is invalid") from None
        ours: dict[str, Any] = {
            "protocol": 2,
            "decode_responses": False,
            "health_check_interval": 0,
            "socket_timeout": self._answer_s,
            "socket_connect_timeout": self._answer_s,
            "retry": Retry(NoBackoff(), 0),
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }
        # Options in the address do not win. The pool only makes the kind of connection it asks for.
        pool = ConnectionPool(**(address | ours))
        try:
            return pool.make_connection()  # type: ignore[no-untyped-call]
        except TypeError:
            raise BusUnavailable("the address of Redis has an unknown option") from None


class _Connection:
    """Implements `BusConnection`."""

    def __init__(self, connection: Any, *, answer_s: float) -> None:  # noqa: ANN401 - a type of the library would import it
        self._connection = connection
        self._answer_s = answer_s

    async def open(self) -> None:
        """Connect, and see whether Redis serves us. Raises `BusUnavailable`."""
        with _translated():
            async with asyncio.timeout(2 * self._answer_s):
                await self._connection.connect()
        _mind_cancellation()
        await self._ask(("PING",))

    async def time_ms(self) -> int:
        """See `BusConnection`."""
        seconds, micros = await self._ask(("TIME",))
        return int(seconds) * 1_000 + int(micros) // 1_000

    async def scan(self, cursor: int) -> KeyPage:
        """See `BusConnection`."""
        command = ("SCAN", cursor, "COUNT", _SCAN_COUNT, "TYPE", "stream")
        following, keys = await self._ask(command)
        return KeyPage(int(following), keys)

    async def inspect(self, keys: Sequence[bytes]) -> list[KeyState]:
        """See `BusConnection`."""
        replies = await self._exchange([("XINFO", "STREAM", key) for key in keys])
        return [_key_state(reply) for reply in replies]

    async def newest(self, keys: Sequence[bytes], *, count: int) -> list[tuple[StreamInfo, Batch]]:
        """See `BusConnection`."""
        commands: list[Command] = [("MULTI",)]
        for key in keys:
            commands.append(("XINFO", "STREAM", key))
            commands.append(("XREVRANGE", key, "+", "-", "COUNT", count))
        replies = await self._exchange([*commands, ("EXEC",)])
        _raise_refusals([replies[-1]])
        states, pages = replies[-1][::2], replies[-1][1::2]
        found = []
        for key, reply, page in zip(keys, states, pages, strict=True):
            state = _key_state(reply)
            if isinstance(state, StreamInfo):
                found.append((state, Batch(key, _entries(reversed(page)))))
        return found

    async def before(self, ranges: Sequence[Range]) -> list[Batch]:
        """See `BusConnection`."""
        replies = await self._exchange(
            [
                ("XREVRANGE", one.key, str(one.last), str(one.first), "COUNT", one.limit)
                for one in ranges
            ]
        )
        return [
            Batch(one.key, _entries(reversed(reply)))
            for one, reply in zip(ranges, replies, strict=True)
            if not isinstance(reply, Exception)
        ]

    async def after(self, ranges: Sequence[Range]) -> list[Batch]:
        """See `BusConnection`."""
        replies = await self._exchange(
            [
                ("XRANGE", one.key, str(one.first), str(one.last), "COUNT", one.limit)
                for one in ranges
            ]
        )
        return [
            Batch(one.key, _entries(reply))
            for one, reply in zip(ranges, replies, strict=True)
            if not isinstance(reply, Exception)
        ]

    async def read(
        self, positions: Sequence[tuple[bytes, EntryId]], *, count: int, block_ms: int
    ) -> list[Batch]:
        """See `BusConnection`."""
        block: Command = ("BLOCK", block_ms) if block_ms else ()
        keys = [key for key, _ in positions]
        ids = [b"%d-%d" % entry_id for _, entry_id in positions]
        reply = await self._ask(
            ("XREAD", "COUNT", count, *block, "STREAMS", *keys, *ids), block_s=block_ms / 1_000
        )
        return [Batch(key, _entries(entries)) for key, entries in reply or ()]

    async def _ask(self, command: Command, *, block_s: float = 0.0) -> Reply:
        replies = await self._exchange([command], block_s=block_s)
        _raise_refusals(replies)
        return replies[0]

    async def _exchange(self, commands: Sequence[Command], *, block_s: float = 0.0) -> list[Reply]:
        """Send commands in one go; an error reply stands in the list, as an exception."""
        from redis.exceptions import ResponseError

        connection = self._connection
        replies: list[Reply] = []
        with _translated():
            packed = connection.pack_commands(commands)
            await connection.send_packed_command(packed, check_health=False)
            async with asyncio.timeout(self._answer_s + block_s):
                for _ in commands:
                    try:
                        replies.append(await connection.read_response(disable_decoding=True))
                    except ResponseError as error:
                        replies.append(error)
        _mind_cancellation()
        return replies


def _mind_cancellation() -> None:
    """End if this task was asked to, and the library has not let it.

    It sends by `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes as it
    finishes: whoever reads for ever would never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _raise_refusals(replies: Iterable[Reply]) -> None:
    for reply in replies:
        if isinstance(reply, Exception):
            text = str(reply)
            if text.startswith("WRONGTYPE"):
                raise NoStream
            raise BusUnavailable(_reason(reply))


def _key_state(reply: Reply) -> KeyState:
    if isinstance(reply, Exception):
        text = str(reply).lower()
        if "no such key" in text:
            return Missing()
        if text.startswith("wrongtype"):
            return OtherType()
        raise BusUnavailable(_reason(reply))
    members = dict(zip(reply[::2], reply[1::2], strict=True))
    oldest, added = members[b"first-entry"], members.get(b"entries-added")
    return StreamInfo(
        length=int(members[b"length"]),
        last_id=_id(members[b"last-generated-id"]),
        first_id=None if oldest is None else _id(oldest[0]),
        added=None if added is None else int(added),
    )


def _entries(reply: Iterable[Reply]) -> list[StreamEntry]:
    found = []
    for entry_id, fields in reply:
        # An entry that is deleted while others are read has no fields.
        members = iter(fields or ())
        found.append(StreamEntry(_id(entry_id), dict(zip(members, members, strict=True))))
    return found


def _id(text: bytes) -> EntryId:
    ms, _, seq = text.partition(b"-")
    return EntryId(int(ms), int(seq))


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of library and sockets as `BusUnavailable`."""
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError) as error:
        raise BusUnavailable(_reason(error), is_deaf=_is_deaf(error)) from None


def _reason(error: Exception) -> str:
    """What went wrong, in words fit for clients: the errors themselves name hosts and addresses."""
    from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError
    from redis.exceptions import ConnectionError as LostError
    from redis.exceptions import TimeoutError as LateError

    text = str(error)
    known = next((said for code, said in _REASONS.items() if text.startswith(code)), None)
    if known is not None:
        return known
    if isinstance(error, AuthenticationError):
        is_wanted = "required" in text.lower()
        return _REASONS["NOAUTH"] if is_wanted else "Redis refuses the name or password"
    if isinstance(error, BusyLoadingError):
        return _REASONS["LOADING"]
    if isinstance(error, NoPermissionError):
        return _REASONS["NOPERM"]
    if isinstance(error, LateError | TimeoutError):
        return "timed out"
    if isinstance(error, LostError | OSError):
        return _reason_of_loss(error)
    return "Redis refused a command"


def _reason_of_loss(error: Exception) -> str:
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    text = " ".join(str(one) for one in causes).lower()
    if any(isinstance(one, ConnectionRefusedError) for one in causes) or "refused" in text:
        return "connection refused"
    if "name or service" in text or "getaddrinfo" in text or "name resolution" in text:
        return "host not found"
    if "certificate" in text or "ssl" in text:
        return "no TLS connection"
    return "connection lost"


def _is_deaf(error: Exception) -> bool:
    return _reason(error) in {"timed out", "connection refused", "connection lost"}
