"""The project's files keep the conventions, and the checks of them find what is planted."""

from collections.abc import Iterator

import pytest

from tests.conventions import (
    MAX_FUNCTION_LINES,
    MAX_MODULE_LINES,
    Check,
    environment_reads,
    local_names,
    oversize,
    ownerless_tasks,
    polling,
    real_time_and_mocks,
    swallowed_cancellations,
    undocumented,
    unreasoned_requirements,
)
from tests.sources import PACKAGE, ROOT, python_sources, walk

MAX_TEXT_BYTES = 5_000_000


def _assert_clean(check: Check, sources: dict[str, str], *, but: str = "") -> None:
    found = [
        f"{path}:{line}" for path, text in sources.items() if path != but for line in check(text)
    ]
    assert not found, "\n".join(found)


def test_cancellation_is_always_passed_on() -> None:
    sources = python_sources(PACKAGE, "scripts", "tests")
    _assert_clean(swallowed_cancellations, sources)


def test_only_settings_reads_the_environment() -> None:
    own = f"{PACKAGE}/settings.py"
    _assert_clean(environment_reads, python_sources(PACKAGE), but=own)


def test_tasks_are_made_in_groups_or_in_tasks() -> None:
    own = f"{PACKAGE}/tasks.py"
    _assert_clean(ownerless_tasks, python_sources(PACKAGE), but=own)


def test_modules_and_functions_are_short_or_say_why_not() -> None:
    _assert_clean(oversize, python_sources(PACKAGE))


def test_every_module_has_a_docstring() -> None:
    _assert_clean(undocumented, python_sources(PACKAGE, "scripts"))


def test_tests_neither_mock_nor_wait_a_fixed_time() -> None:
    _assert_clean(real_time_and_mocks, python_sources("tests"))


def test_tests_wait_with_one_helper() -> None:
    _assert_clean(polling, python_sources("tests"), but="tests/waiting.py")


def test_no_file_names_a_folder_of_one_machine_or_a_registry_host() -> None:
    _assert_clean(local_names, dict(_texts()))


def test_every_requirement_has_bounds_and_a_reason() -> None:
    assert not unreasoned_requirements((ROOT / "pyproject.toml").read_text("utf-8"))


def _texts() -> Iterator[tuple[str, str]]:
    for path in walk():
        if path.stat().st_size <= MAX_TEXT_BYTES:
            content = path.read_bytes()
            if b"\0" not in content:
                yield path.relative_to(ROOT).as_posix(), content.decode("utf-8", "replace")


SWALLOWED = [
    "try: ...\nexcept asyncio.CancelledError:\n    pass",
    "try: ...\nexcept (OSError, asyncio.CancelledError):\n    return",
    "from asyncio import CancelledError as Stop\ntry: ...\nexcept Stop:\n    log()",
    "try: ...\nexcept BaseException as exc:\n    raise RuntimeError from exc",
    "try: ...\nexcept:\n    pass",
    "def f():\n    try: ...\n    except BaseException:\n        if a: return\n        raise",
    "for a in b:\n    try: ...\n    except BaseException:\n        if a: continue\n        raise",
    "from contextlib import suppress\nwith suppress(asyncio.CancelledError): ...",
    "import contextlib as c\nwith c.suppress(OSError, BaseException): ...",
]
PASSED_ON = [
    "try: ...\nexcept asyncio.CancelledError:\n    repair()\n    raise",
    "try: ...\nexcept BaseException as exc:\n    note(exc)\n    raise exc",
    "try: ...\nexcept Exception:\n    pass",
    "from contextlib import suppress\nwith suppress(OSError): ...",
]
READS = [
    "import os\nHOST = os.environ['HOST']",
    "import os as system\nHOST = system.getenv('HOST')",
    "from os import environ\nHOST = environ.get('HOST')",
]
OWNERLESS = [
    "import asyncio\nasyncio.create_task(run())",
    "from asyncio import ensure_future as later\nlater(run())",
    "import asyncio\nasyncio.get_running_loop().create_task(run())",
    "class A:\n    def f(self):\n        self._loop.create_task(run())",
    "import asyncio\nasyncio.Task(run())",
]
OWNED = [
    "import asyncio\nasync def f():\n  async with asyncio.TaskGroup() as g:\n    g.create_task(a)",
    "class A:\n    def f(self):\n        self._group.create_task(run(), name='run')",
]
_LONG_FUNCTION = "def f() -> None:\n" + "    pass\n" * MAX_FUNCTION_LINES
OVERSIZE = [
    "a = 1\n" * (MAX_MODULE_LINES + 1),
    "# long:\n" + "a = 1\n" * MAX_MODULE_LINES,
    _LONG_FUNCTION,
    f"# long: it was\n\n{_LONG_FUNCTION}",
    f"class A:\n    @property\n    async {_LONG_FUNCTION.replace('    pass', '        pass')}",
]
IN_SIZE = [
    "a = 1\n" * MAX_MODULE_LINES,
    "# long: one table\n" + "a = 1\n" * MAX_MODULE_LINES,
    f"# long: one table\n@cache\n{_LONG_FUNCTION}",
    "def f() -> None:\n" + "    pass\n" * (MAX_FUNCTION_LINES - 1),
]
UNREAL = [
    "from unittest.mock import patch",
    "from unittest import mock",
    "import unittest.mock",
    "import time\ntime.sleep(0)",
    "from time import sleep\nsleep(1)",
    "import asyncio\nasync def test_a():\n    await asyncio.sleep(0.1)",
    "from asyncio import sleep\n@pytest.fixture\nasync def a():\n    await sleep(1)",
]
REAL = [
    "import asyncio\nasync def test_a():\n    await asyncio.sleep(0)",
    "import asyncio\n@pytest.mark.looptime\nasync def test_a():\n    await asyncio.sleep(10)",
    "import asyncio as a\npytestmark = pytest.mark.looptime\nasync def b():\n    await a.sleep(9)",
]
POLLING = [
    "async def test_a():\n    while (await bff.totals())['open']:\n        pass",
    "async def test_a():\n    while True:\n        if await bff.get('/x'):\n            break",
    "import asyncio as a\nasync def test_a():\n    while not done:\n        await a.sleep(0)",
    "async def f():\n    while s != 200:\n        async with o.get(u) as r:\n            s = r.status",
]
WAITING = [
    "async def test_a():\n    while message := await viewer.next():\n        pass",
    "import asyncio\nasync def f():\n    while True:\n        await asyncio.sleep(0)",
    "async def test_a():\n    while now() < end:\n        await viewer.ctrl('seek')",
    "import asyncio\n@pytest.mark.looptime\nasync def f():\n    while x:\n"
    "        await asyncio.sleep(1)",
]
LOCAL = [
    *(f"see /{folder}/someone/x" for folder in ("home", "root", "tmp", "work", "Users")),
    f"pip install --{'index-url'} x",
    f"https://{'pypi'}.org/simple",
    f'"resolved": "https://{"registry"}.npmjs.org/a"',
]
ELSEWHERE = [
    "GET /api/v1/work/items, hewston_bff/work/x, https://example.org/home/a, </root/x>",
    "uv pip compile --no-emit-index-url --no-emit-find-links",
    "COPY --from=builder /opt/venv /opt/venv",
]
UNREASONED = [
    '[project]\ndependencies = [\n    "a>=1", # needed\n]',
    '[project]\ndependencies = ["a>=1,<2"]',
    '[project]\ndependencies = [\n    "a<2", # needed\n]',
    "[project.optional-dependencies]\nx = [\n    \"a>=1; python_version < '3'\", # needed\n]",
]
REASONED = ["[project]\ndependencies = [\n    \"a[b]>=1,<2; c < '3'\", # needed\n]"]


@pytest.mark.parametrize(
    ("check", "source"),
    [
        *((swallowed_cancellations, source) for source in SWALLOWED),
        *((environment_reads, source) for source in READS),
        *((ownerless_tasks, source) for source in OWNERLESS),
        *((oversize, source) for source in OVERSIZE),
        (undocumented, "a = 1\n'''Not one.'''"),
        *((real_time_and_mocks, source) for source in UNREAL),
        *((polling, source) for source in POLLING),
        *((local_names, text) for text in LOCAL),
        *((unreasoned_requirements, text) for text in UNREASONED),
    ],
)
def test_a_planted_breach_is_found(check: Check, source: str) -> None:
    assert check(source)


@pytest.mark.parametrize(
    ("check", "source"),
    [
        *((swallowed_cancellations, source) for source in PASSED_ON),
        (environment_reads, "def from_env(environ):\n    return environ['HOST']"),
        *((ownerless_tasks, source) for source in OWNED),
        *((oversize, source) for source in IN_SIZE),
        (undocumented, "'''One.'''\na = 1"),
        *((real_time_and_mocks, source) for source in REAL),
        *((polling, source) for source in WAITING),
        *((local_names, text) for text in ELSEWHERE),
        *((unreasoned_requirements, text) for text in REASONED),
    ],
)
def test_the_right_way_is_not_reported(check: Check, source: str) -> None:
    assert check(source) == []


def test_the_checks_read_the_projects_files() -> None:
    assert {"setup.cfg", "scripts/check", ".ci/run", "Dockerfile"} <= dict(_texts()).keys()
