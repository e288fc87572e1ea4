"""The console's sources: what no tool of JavaScript's is asked here."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.console.support import CONSOLE
from tests.conventions import MAX_MODULE_LINES

SOURCES = {
    path: path.read_text()
    for path in sorted(CONSOLE.rglob("*.js"))
    if not {"node_modules", "vendor"} & set(path.relative_to(CONSOLE).parts)
}
_IMPORT = re.compile(r'^import [^;]*?from "([^"]+)";', re.MULTILINE)
_CLASS = re.compile(r"^(?:export )?class (\w+)", re.MULTILINE)
_ANY = re.compile(r"@(?:type|param|returns|property|typedef) \{.*\bany\b.*\}")
_STYLED = {"ui/dom.js", "ui/notice.js"}
"""Modules that make elements."""


def imported(name: str) -> set[str]:
    """The modules that this one needs, and itself; not those that only its comments name."""
    found: set[str] = set()
    waiting = [CONSOLE / name]
    while waiting:
        path = waiting.pop().resolve()
        if (known := str(path.relative_to(CONSOLE))) not in found:
            found.add(known)
            waiting += [path.parent / target for target in _IMPORT.findall(SOURCES[path])]
    return found


def names(paths: Iterable[Path]) -> list[str]:
    """Paths as they are below the console's folder."""
    return [str(path.relative_to(CONSOLE)) for path in paths]


def test_no_file_is_too_long() -> None:
    long = [path for path, text in SOURCES.items() if len(text.splitlines()) > MAX_MODULE_LINES]
    assert names(long) == []


def test_no_class_has_the_name_of_another() -> None:
    counts = Counter(name for text in SOURCES.values() for name in _CLASS.findall(text))
    assert len(counts) > 20
    assert [name for name, count in counts.items() if count > 1] == []


def test_messages_are_never_of_any_type() -> None:
    client = {path: text for path, text in SOURCES.items() if path.parent.name == "client"}
    loose = [path for path, text in client.items() if _ANY.search(text)]
    # Bodies of REST answers are what the caller takes them for.
    assert names(loose) == ["client/rest.js"]


@pytest.mark.parametrize("name", ["player/model.js", "player/commands.js", "chart/picture.js"])
def test_what_decides_needs_nothing_that_makes_elements(name: str) -> None:
    assert imported(name) & _STYLED == set()


def test_what_makes_elements_is_noticed() -> None:
    assert imported("player/player.js") >= {*_STYLED, "player/model.js", "client/time.js"}
