"""Names of things: runs, symbols, epochs."""

import re
from typing import NewType

RunId = NewType("RunId", str)
Epoch = NewType("Epoch", str)

RUN_ID_PATTERN = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}"
JOB_TYPE_PATTERN = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"
SYMBOL_PATTERN = r"(?![/ ])(?!.*(\.\.|//| $))[^\x00-\x1f\x7f-\xa0\u2028\u2029]{1,64}"
_RUN_ID = re.compile(RUN_ID_PATTERN)
_SYMBOL = re.compile(SYMBOL_PATTERN)


def parse_run_id(text: str) -> RunId | None:
    """`text` as a run id; None if it is not a valid one (REST contract: the id rule)."""
    return None if _RUN_ID.fullmatch(text) is None else RunId(text)


def is_symbol(text: str) -> bool:
    """Whether `text` is a valid symbol, upper or lower case (REST contract: chart data).

    Any printable characters; no space at either end, and nothing that could change a path.
    """
    return _SYMBOL.fullmatch(text) is not None and text.isprintable()
