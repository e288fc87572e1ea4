"""The API keys that hold: those of a watched file."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from hewston_bff.api_keys import ApiKey, BadApiKeys, find_key, parse_api_keys
from hewston_bff.credentials import ApiCaller, Scope
from hewston_bff.errors import ApiKeyRequired, BffError, Forbidden
from hewston_bff.net.files.signature import Signature, signature

logger = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.5
_FILE_BYTES = 1 << 20
_NO_FILE = "while there is no file of API keys, only this machine and pages of allowed origins may"


class ApiKeys:
    """Who may what. Without a file: everybody the figures, and trusted callers everything."""

    def __init__(self, file: Path | None = None) -> None:
        """Read the file.

        Raises:
            BadApiKeys: a line of it makes no sense.
            OSError: it can't be read.
        """
        self._file = file
        self._listeners: list[Callable[[], None]] = []
        self._seen: Signature | None = None
        self._keys: tuple[ApiKey, ...] = ()
        if file is not None:
            self._seen = signature(file)
            self._keys = read_api_keys(file)

    @property
    def has_file(self) -> bool:
        """Whether keys are asked for."""
        return self._file is not None

    def refusal(self, caller: ApiCaller, scope: Scope) -> BffError | None:
        """Why this caller may not what needs `scope`, now; None if it may.

        `ApiKeyRequired`: it sent no key, or one that is not, or no longer, in the file.
        `Forbidden`: its key has not this scope; or there is no file and it is not trusted.
        """
        if self._file is None:
            is_open = caller.is_trusted or scope is Scope.STATS
            return None if is_open else Forbidden(f"{_NO_FILE}: ask its operator for a key")
        if caller.key is None:
            return ApiKeyRequired(f"an API key with the scope {scope} is needed: send X-API-Key")
        found = find_key(self._keys, caller.key)
        if found is None:
            return ApiKeyRequired("this API key is unknown, or was withdrawn: send another")
        if scope not in found.scopes:
            return Forbidden(f"this API key has not the scope {scope}: ask for one that has")
        return None

    def digests(self) -> frozenset[str]:
        """The digests of all keys, in hexadecimal digits."""
        return frozenset(key.digest.hex() for key in self._keys)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` each time the keys have changed. It must not raise."""
        self._listeners.append(listener)

    def look(self) -> None:
        """Read the file if it changed. If it is invalid or gone, log that and change nothing."""
        if self._file is None:
            return
        found = signature(self._file)
        if found == self._seen:
            return
        self._seen = found
        try:
            keys = read_api_keys(self._file)
        except (OSError, BadApiKeys) as error:
            reason = str(error) if isinstance(error, BadApiKeys) else type(error).__name__
            logger.warning("api_keys.bad_file", file=str(self._file), reason=reason)
            return
        self._take(keys)

    async def run(self) -> None:
        """Watch the file until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _take(self, keys: tuple[ApiKey, ...]) -> None:
        old, new = ({key.digest: key for key in some} for some in (self._keys, keys))
        if old == new:
            return
        self._keys = keys
        logger.warning(
            "api_keys.changed",
            added=[new[digest].name for digest in new.keys() - old.keys()],
            withdrawn=[old[digest].name for digest in old.keys() - new.keys()],
            changed=[new[d].name for d in new.keys() & old.keys() if new[d] != old[d]],
        )
        for listener in self._listeners:
            listener()


def read_api_keys(file: Path) -> tuple[ApiKey, ...]:
    """The keys of a file.

    Raises:
        BadApiKeys: a line makes no sense, or the file is far too large to be one.
        OSError: it can't be read.
    """
    with file.open("rb") as opened:
        data = opened.read(_FILE_BYTES + 1)
    if len(data) > _FILE_BYTES:
        msg = f"it has more than {_FILE_BYTES} bytes"
        raise BadApiKeys(msg)
    return parse_api_keys(data)
