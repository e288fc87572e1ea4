"""Feature flags: the defaults come from the settings, a watched file overrides them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from hewston_bff.feature_flags import BadFeatures, Feature, parse_features
from hewston_bff.net.files.signature import Signature, signature

logger = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.5
_FILE_BYTES = 1 << 16


class Features:
    """The flags. Those that the file does not name, or all without a file, are the settings'."""

    def __init__(self, settings: Mapping[Feature, bool], *, file: Path | None = None) -> None:
        self._settings = dict(settings)
        self._file = file
        self._seen: Signature | None = None
        self._values = dict(settings)

    def is_on(self, feature: Feature) -> bool:
        """Whether the feature is enabled now."""
        return self._values[feature]

    def by_name(self) -> dict[str, bool]:
        """All flags, by the names that frontends know."""
        return {feature.value: is_on for feature, is_on in self._values.items()}

    def look(self) -> None:
        """Read the file if it changed; if it is invalid, log that and change nothing."""
        if self._file is None:
            return
        try:
            found = signature(self._file)
            if found == self._seen:
                return
            self._seen = found
            switched = {} if found is None else parse_features(_read(self._file))
        except (OSError, BadFeatures) as error:
            logger.warning("features.bad_file", file=str(self._file), reason=str(error))
            return
        self._take({**self._settings, **switched})

    async def run(self) -> None:
        """Watch the file until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _take(self, values: dict[Feature, bool]) -> None:
        for feature, is_on in values.items():
            was_on = self._values[feature]
            if is_on != was_on:
                logger.warning("features.changed", feature=feature.value, old=was_on, new=is_on)
        self._values = values


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_FILE_BYTES)
