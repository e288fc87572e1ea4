"""Imports point one way: protocol ← log ← playback ← ports ← {topics, hub} ← net ← … ← app.

The rules are data in this file; the checker reads source text, so each rule is also shown a
planted violation that it has to find.
"""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import pytest

from tests.sources import PACKAGE, aliases, dotted, module_name, python_sources

_ROOT = ""  # the package itself: its version
_PURE = {"protocol", "events", "log", "playback", "market", "backoff", "credentials", "errors"}
_SHELL = {
    *_PURE,
    "api_keys",
    "feature_flags",
    "ports",
    "tasks",
    "setting_types",
    "settings",
    "setting_checks",
    "log_setup",
}

# Unit (a folder or a module right below the package) → the units it may import besides itself.
MAY_IMPORT = {
    _ROOT: set[str](),
    "protocol": set[str](),
    "backoff": set[str](),
    "credentials": set[str](),
    "feature_flags": set[str](),
    "api_keys": {"credentials"},
    "errors": {"protocol"},
    "events": {"protocol"},
    "log": {"protocol"},
    "playback": {"protocol", "log"},
    "market": {"protocol"},
    "ports": {"protocol", "events", "log", "credentials", "errors"},
    "tasks": set[str](),
    "setting_types": {"protocol"},
    "settings": {"protocol", "events", "errors", "feature_flags", "api_keys", "setting_types"},
    "setting_checks": {"settings"},
    "log_setup": {_ROOT, "protocol", "errors", "settings"},
    "topics": {*_PURE, "ports"},
    "hub": {*_PURE, "ports", "tasks"},
    "net": {_ROOT, *_SHELL, "topics", "hub"},
    "services": {_ROOT, *_SHELL, "topics", "hub", "net"},
    "web": {_ROOT, *_SHELL, "topics", "hub", "net", "services"},
    "event_kinds": {_ROOT, *_SHELL, "topics", "hub", "net", "services", "web"},
    "app": {_ROOT, *_SHELL, "topics", "hub", "net", "services", "web", "event_kinds"},
    "tools": {"protocol", "events"},
    "cli": {
        *(_ROOT, "app", "tools", "settings", "setting_checks", "log_setup", "errors", "api_keys"),
        *("protocol", "credentials", "events", "ports", "tasks"),
    },
    "__main__": {_ROOT, "app", "cli", "settings", "log_setup", "errors"},
}
# Below these, no I/O and no clock; so neither in these modules of the run's topic.
PURE_UNITS = {*_PURE, "api_keys", "feature_flags"}

# Modules outside the package that a unit must not know.
_IO = {
    # no waiting, no sockets
    *("asyncio", "concurrent", "http", "multiprocessing", "selectors", "socket", "ssl"),
    *("subprocess", "threading"),
    # no files, no environment, no logging
    *("logging", "os", "pathlib", "shutil", "tempfile"),
    # no clock, no chance: time and jitter come in as arguments
    *("random", "secrets", "time", "uuid"),
}
_SOCKETS = {"aiohttp", "aiohttp_cors", "redis"}
FORBIDDEN = {
    **dict.fromkeys(PURE_UNITS, _IO),
    "hub": _SOCKETS,  # what it needs of sockets is a Protocol
    "topics": _SOCKETS,
    "services": {"aiohttp.web"},  # they answer callers, not requests
}
# Distributions that pure code may use: values in, values out.
PURE_LIBRARIES = {"msgspec", "numpy", "tsdownsample"}
# Calls by which pure code would do I/O or read a clock without an import of its own.
IMPURE_CALLS = {
    *("open", "print", "input"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"),
    "datetime.date.today",
}

# Imported inside functions and nowhere else, each for its reason.
LATE_IMPORTS = {
    **dict.fromkeys(
        (
            *("hewston_bff.cli.serve", "hewston_bff.cli.demo", "hewston_bff.cli.backend"),
            *("hewston_bff.cli.check_config", "hewston_bff.cli.watch", "hewston_bff.cli.loadtest"),
            "hewston_bff.cli.key",
        ),
        "each command is imported when it is called, so that `serve` loads none of the tools",
    ),
    **dict.fromkeys(
        ("hewston_bff.web.contract.openapi", "hewston_bff.web.contract.asyncapi"),
        "the documents are made when they are first asked for, if ever",
    ),
    "redis": "0.1 s and 6 MiB, where Redis is not enabled for nothing",
    "tsdownsample": "memory that a server without charts need not hold",
    "matplotlib": "the extra `plot` may be absent, and it takes a second to import",
    "pyarrow": "the extra `artifacts` may be absent",
    "uvloop": "the extra `uvloop` may be absent",
}


class Import(NamedTuple):
    """One imported name: `from a import b` is `a.b`, whether b is a module or not."""

    name: str
    line: int
    is_late: bool


def imports(source: str) -> list[Import]:
    """Every import of a source text, also those for types only."""
    return list(_imports(ast.parse(source), is_late=False))


def _imports(node: ast.AST, *, is_late: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, is_late) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from (Import(f"{module}.{alias.name}", node.lineno, is_late) for alias in node.names)
    in_function = is_late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, is_late=in_function)


def unit_of(name: str) -> str | None:
    """The unit a dotted name belongs to; None if it is not of the package."""
    top, _, rest = name.partition(".")
    if top != PACKAGE:
        return None
    unit = rest.partition(".")[0]
    # `from hewston_bff import __version__` takes a name of the package, not a unit.
    return _ROOT if unit.startswith("__") and unit not in MAY_IMPORT else unit


def _is_within(name: str, outer: str) -> bool:
    return name == outer or name.startswith(f"{outer}.")


def violations(module: str, source: str) -> list[str]:
    """What a module's imports and calls break of the rules above."""
    unit = unit_of(module)
    if unit is None or unit not in MAY_IMPORT:
        return [f"{module}: not in MAY_IMPORT; say what it may import"]
    found = [
        f"{module}:{one.line}: {one.name}: {problem}"
        for one in imports(source)
        for problem in _import_problems(unit, one)
    ]
    return found + (_impure_calls(module, source) if unit in PURE_UNITS else [])


def _import_problems(unit: str, one: Import) -> Iterator[str]:
    if one.name.startswith("."):
        yield "relative, so its direction cannot be read"
        return
    top = one.name.partition(".")[0]
    if one.is_late != any(_is_within(one.name, late) for late in LATE_IMPORTS):
        yield "inside a function" if one.is_late else "must be inside a function"
    other = unit_of(one.name)
    if other is None:
        if any(_is_within(one.name, outer) for outer in FORBIDDEN.get(unit, ())):
            yield f"forbidden in {unit}"
        elif unit in PURE_UNITS and top not in PURE_LIBRARIES | sys.stdlib_module_names:
            yield f"{unit} may not use this library"
    elif other != unit and other not in MAY_IMPORT[unit]:
        yield f"{unit} may not import {other or 'the package itself'}"


def _impure_calls(module: str, source: str) -> list[str]:
    tree = ast.parse(source)
    known = aliases(tree)
    return [
        f"{module}:{node.lineno}: {name}(): pure code does no I/O and reads no clock"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (name := dotted(node.func, known)) in IMPURE_CALLS
    ]


def cycle(modules: dict[str, str]) -> list[str]:
    """Modules (name → source text) that import each other in a circle; empty if none do."""
    graph = {
        module: {_nearest(one.name, modules) for one in imports(source)} - {module, None}
        for module, source in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        circle: list[str] = exc.args[1]
        return circle
    return []


def _nearest(name: str, modules: dict[str, str]) -> str | None:
    """The module that a dotted name is, or is in."""
    if name in modules:
        return name
    outer = name.rpartition(".")[0]
    return outer if outer in modules else None


def _own_modules() -> dict[str, str]:
    return {module_name(path): text for path, text in python_sources(PACKAGE).items()}


def test_every_import_points_the_allowed_way() -> None:
    found = [line for name, text in _own_modules().items() for line in violations(name, text)]
    assert not found, "\n".join(found)


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert not cycle(_own_modules())


def test_the_checker_reads_the_package() -> None:
    assert PACKAGE in _own_modules()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("log.log", "from hewston_bff.hub import hub"),
        ("log.log", "from hewston_bff import hub"),
        ("log.log", "import hewston_bff.net.clients.session"),
        ("log.log", "from hewston_bff import __version__"),
        ("log.log", "import hewston_bff.errors"),
        ("log.log", "import asyncio"),
        ("log.log", "import os.path"),
        ("log.log", "from time import monotonic"),
        ("log.log", "import logging as quiet"),
        ("log.log", "import aiohttp"),
        ("log.log", "import redis.asyncio"),
        ("log.log", "import structlog"),
        ("log.log", "import tenacity"),
        ("log.log", "from datetime import UTC, datetime\nNOW = datetime.now(UTC)"),
        ("log.log", "import datetime as dt\nNOW = dt.datetime.utcnow()"),
        ("log.log", "TEXT = open('a.txt')"),
        ("log.log", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import socket"),
        ("hub.hub", "from hewston_bff.net import session"),
        ("hub.hub", "from aiohttp import web"),
        ("hub.hub", "from redis import asyncio"),
        ("net.session", "from hewston_bff.services.runs import Runs"),
        ("services.runs", "from hewston_bff.web.keys import HUB"),
        ("services.runs", "from aiohttp import web"),
        ("services.runs", "import aiohttp.web"),
        ("web.routes", "from hewston_bff.app import create_app"),
        ("web.routes", "from hewston_bff.tools.simulator import server"),
        ("tools.simulator", "from hewston_bff.ports import Upstream"),
        ("tools.simulator", "from hewston_bff.settings import Settings"),
        ("tools.node.source", "from hewston_bff.ports import EventIntake"),
        ("tools.loadtest", "from hewston_bff.net import session"),
        ("cli.main", "from hewston_bff.hub.hub import Hub"),
        ("settings", "from hewston_bff.log_setup import configure"),
        ("errors", "from hewston_bff.web import middleware"),
        ("app", "from hewston_bff.tools.simulator import server"),
        ("app", "from .web import routes"),
        ("app", "def create_app():\n    from hewston_bff.web import routes"),
        ("app", "class A:\n    async def run(self):\n        if self:\n            import json"),
        ("tools.loadtest", "import matplotlib.pyplot as plt"),
        ("cli.main", "from hewston_bff.cli.watch import watch"),
        ("cli.main", "def f():\n    from hewston_bff.cli.serving import serve_app"),
        ("net.redis.shared_redis", "from redis.asyncio import Redis"),
        ("helpers", "import math"),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str) -> None:
    assert violations(f"{PACKAGE}.{module}", source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("log.log", "import msgspec\nimport numpy as np\nfrom math import isnan"),
        (
            "log.log",
            "from datetime import UTC, datetime, time\nfrom hewston_bff.protocol.ids import A",
        ),
        (
            "hub.hub",
            "import asyncio\nfrom hewston_bff import errors\nfrom hewston_bff.protocol import a",
        ),
        ("net.session", "from aiohttp import web\nfrom hewston_bff.hub.hub import Hub"),
        ("services.runs", "from aiohttp import ClientError\nfrom hewston_bff.net import backend"),
        (
            "web.health",
            "from hewston_bff import __version__\nfrom hewston_bff.services import runs",
        ),
        ("app", "from hewston_bff.web import routes\nfrom hewston_bff.settings import Settings"),
        ("tools.simulator", "from aiohttp import web\nfrom hewston_bff.protocol.ids import RunId"),
        (
            "tools.node.source",
            "from time import time_ns\nfrom hewston_bff.events.event import Event",
        ),
        ("cli.demo", "from hewston_bff.ports import EventKind"),
        (
            "cli.main",
            "from hewston_bff import __version__, tools\nfrom hewston_bff.app import a",
        ),
        ("tools.loadtest", "def draw():\n    import matplotlib.pyplot as plt"),
        ("cli.main", "def f():\n    from hewston_bff.cli.watch import watch"),
        ("net.redis.shared_redis", "def f():\n    from redis.asyncio import Redis"),
        ("__main__", "from hewston_bff.cli.main import main"),
    ],
)
def test_what_is_allowed_is_not_reported(module: str, source: str) -> None:
    assert violations(f"{PACKAGE}.{module}", source) == []


def test_a_planted_circle_is_found() -> None:
    modules = {
        "hewston_bff.hub": "",
        "hewston_bff.hub.hub": "from hewston_bff.hub import channel",
        "hewston_bff.hub.channel": "from hewston_bff.hub.ticker import Ticker",
        "hewston_bff.hub.ticker": "import hewston_bff.hub.hub",
    }
    assert set(cycle(modules)) == set(modules) - {"hewston_bff.hub"}
    assert not cycle(modules | {"hewston_bff.hub.ticker": "from hewston_bff.hub import ports"})
