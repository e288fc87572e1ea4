"""Keys of the viewer of topics: keys in, commands or a scrolled table out."""

import msgspec

from hewston_bff.tools.viewer.keys import Key
from hewston_bff.tools.viewer.topic_model import TopicsModel

HELP = "space pause/play · End or g live · ↑/↓ PgUp/PgDn Home scroll · q quit"
_PAGE = 20
_SCROLL = {
    Key.UP: -1,
    Key.DOWN: 1,
    Key.SEEK_BACK: -_PAGE,
    Key.SEEK_ON: _PAGE,
    Key.START: -(10**9),
}


def topic_command(key: Key, model: TopicsModel) -> bytes | None:
    """The message that a key comes to where the viewer stands; None if there is none."""
    if key in _SCROLL:
        model.scroll(_SCROLL[key])
        return None
    if key is Key.TOGGLE:
        return _ctrl("pause" if model.is_playing else "play", model)
    return _ctrl("live", model) if key is Key.LIVE else None


def _ctrl(cmd: str, model: TopicsModel) -> bytes | None:
    if model.sid is None:
        return None
    return msgspec.json.encode({"t": "ctrl", "cmd": cmd, "sid": model.sid})
