"""Checks of conventions that no linter knows: text in, what is wrong with it out, a line each."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator

from tests.sources import aliases, dotted

Check = Callable[[str], list[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

CANCELLATION = {"CancelledError", "BaseException"}
TASK_MAKERS = {"asyncio.create_task", "asyncio.ensure_future", "asyncio.Task", "asyncio.tasks.Task"}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}


# Cancellation: every handler that catches it ends in `raise`.


def swallowed_cancellations(source: str) -> list[str]:
    """Handlers, and suppress() calls, that catch CancelledError and do not pass it on."""
    tree = ast.parse(source)
    known = aliases(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            if _catches_cancellation(node.type, known) and not _passes_on(node):
                found.append(f"{node.lineno}: the handler does not end in `raise`")
        elif isinstance(node, ast.Call) and _suppresses_cancellation(node, known):
            found.append(f"{node.lineno}: suppress() of a cancellation")
    return found


def _suppresses_cancellation(call: ast.Call, known: dict[str, str]) -> bool:
    is_suppress = dotted(call.func, known) == "contextlib.suppress"
    return is_suppress and any(_catches_cancellation(one, known) for one in call.args)


def _catches_cancellation(caught: ast.expr | None, known: dict[str, str]) -> bool:
    if caught is None:
        return True
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(dotted(name, known).rpartition(".")[2] in CANCELLATION for name in names)


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """The last statement raises what was caught, and nothing leaves the handler before it."""
    last = handler.body[-1]
    is_raised = isinstance(last, ast.Raise) and (
        last.exc is None or (isinstance(last.exc, ast.Name) and last.exc.id == handler.name)
    )
    leaves = ast.Return | ast.Break | ast.Continue
    return is_raised and not any(isinstance(node, leaves) for node in _here(handler))


def _here(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below this one, not going into functions defined there."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda):
            yield child
            yield from _here(child)


# Who may read the environment, and who may make tasks.


def environment_reads(source: str) -> list[str]:
    """Uses of the process environment."""
    tree = ast.parse(source)
    known = aliases(tree)
    return sorted(
        {
            f"{node.lineno}: {name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Name | ast.Attribute)
            and (name := dotted(node, known)) in ENVIRONMENT
        }
    )


def ownerless_tasks(source: str) -> list[str]:
    """Tasks made elsewhere than in a TaskGroup, known by its name or its `async with`."""
    tree = ast.parse(source)
    known = aliases(tree)
    groups = set(_group_names(tree, known))
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func, known)
        owner, _, verb = name.rpartition(".")
        is_group = owner in groups or owner.rpartition(".")[2].endswith("group")
        if name in TASK_MAKERS or (verb in {"create_task", "ensure_future"} and not is_group):
            found.append(f"{node.lineno}: {name}()")
    return found


def _group_names(tree: ast.AST, known: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                call = item.context_expr
                is_group = (
                    isinstance(call, ast.Call) and dotted(call.func, known) == "asyncio.TaskGroup"
                )
                if is_group and item.optional_vars is not None:
                    yield dotted(item.optional_vars, known)


# Size and documentation.


def oversize(source: str) -> list[str]:
    """A module or functions over the limits without a `# long: reason` comment on top."""
    lines = source.splitlines()
    found = []
    if len(lines) > MAX_MODULE_LINES and not _is_excused(lines[:3]):
        found.append(f"1: {len(lines)} lines in the module")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            first = min(part.lineno for part in [node, *node.decorator_list])
            count = (node.end_lineno or first) - node.lineno + 1
            if count > MAX_FUNCTION_LINES and not _is_excused(lines[max(first - 2, 0) : first - 1]):
                found.append(f"{node.lineno}: {count} lines in {node.name}()")
    return found


def _is_excused(lines: list[str]) -> bool:
    return any(re.match(r"\s*# long: \S", line) for line in lines)


def undocumented(source: str) -> list[str]:
    """A module without a docstring."""
    return [] if ast.get_docstring(ast.parse(source)) else ["1: no docstring"]


# Tests.

_MOCK = re.compile(r"(?:unittest\.)?mock\b")


def real_time_and_mocks(source: str) -> list[str]:
    """Mocks, and sleeps of a fixed length: a test waits for what happens, not for a while.

    Under the looptime marker a sleep moves the fake clock only, and is allowed.
    """
    tree = ast.parse(source)
    known = aliases(tree)
    mocks = sorted(name for name in _imported(tree) if _MOCK.match(name))
    return [f"1: {name}" for name in mocks] + [
        f"{node.lineno}: {name}()"
        for node in _outside_fake_time(tree)
        if isinstance(node, ast.Call)
        and ((name := dotted(node.func, known)) == "time.sleep" or _is_fixed_sleep(name, node))
    ]


_ASKS = {"sleep", "get", "totals", "locked", "stats"}
"""Calls that only look how things stand; whoever repeats them is polling."""


def polling(source: str) -> list[str]:
    """Loops that wait on the real clock by looking again and again, but for the helper's own.

    They keep a busy machine busy, and wait for ever or for too short. A loop that also waits for
    something to happen (a message, bytes) is none, and a background task without an end neither.
    """
    tree = ast.parse(source)
    known = aliases(tree)
    return [
        f"{node.lineno}: a loop that looks again and again: use tests.waiting.eventually()"
        for node in _outside_fake_time(tree)
        if isinstance(node, ast.While) and _has_end(node) and _only_looks(node, known)
    ]


def _has_end(loop: ast.While) -> bool:
    is_endless = isinstance(loop.test, ast.Constant) and bool(loop.test.value)
    return not is_endless or any(isinstance(n, ast.Break | ast.Return) for n in _here(loop))


def _only_looks(loop: ast.While, known: dict[str, str]) -> bool:
    awaited = [node.value for node in _here(loop) if isinstance(node, ast.Await)]
    # `async with session.get(…)` is a look as well.
    awaited += [
        item.context_expr
        for node in _here(loop)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
    ]
    names = [
        dotted(call.func, known).rpartition(".")[2] if isinstance(call, ast.Call) else ""
        for call in awaited
    ]
    return bool(names) and all(name in _ASKS for name in names)


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            yield from (f"{module}{alias.name}" for alias in node.names)


def _outside_fake_time(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run on the real clock."""
    body = tree.body if isinstance(tree, ast.Module | ast.ClassDef) else []
    if any(isinstance(node, ast.Assign) and _is_fake_time_mark(node) for node in body):
        return
    for child in ast.iter_child_nodes(tree):
        decorators = child.decorator_list if isinstance(child, Function | ast.ClassDef) else []
        if not any("looptime" in ast.unparse(decorator) for decorator in decorators):
            yield child
            yield from _outside_fake_time(child)


def _is_fake_time_mark(node: ast.Assign) -> bool:
    targets = {target.id for target in node.targets if isinstance(target, ast.Name)}
    return "pytestmark" in targets and "looptime" in ast.unparse(node.value)


def _is_fixed_sleep(name: str, call: ast.Call) -> bool:
    if name != "asyncio.sleep" or not call.args:
        return False
    delay = call.args[0]
    return (
        isinstance(delay, ast.Constant) and isinstance(delay.value, int | float) and delay.value > 0
    )


# Text of all kinds. The patterns are written so that they do not find themselves.

_HOME = re.compile(r"(?<![\w.$}/<>-])/(?:home|mnt|root|tmp|Users|work|workspace)/[\w.-]")
_REGISTRY = re.compile(
    r"pypi\.(?:org|python\.org)|pythonhosted\.org|registry\.(?:npmjs|yarnpkg)\.|deb\.debian\.org"
    r"|--(?:extra-)?index-url\b|--(?:find)-links\b",
    re.IGNORECASE,
)


def local_names(text: str) -> list[str]:
    """Folders of one machine, and hosts of package registries: both differ where others work."""
    return [
        f"{number}: {line.strip()[:120]}"
        for number, line in enumerate(text.splitlines(), start=1)
        if _HOME.search(line) or _REGISTRY.search(line)
    ]


def unreasoned_requirements(text: str) -> list[str]:
    """Requirements of a pyproject.toml without both bounds, or without a reason on their line."""
    project = tomllib.loads(text)["project"]
    extras = project.get("optional-dependencies", {})
    requirements = [
        *project.get("dependencies", []),
        *(one for some in extras.values() for one in some),
    ]
    found = []
    for requirement in requirements:
        versions = requirement.partition(";")[0]
        if not (re.search(r">=\s*\d", versions) and re.search(r"<\s*\d", versions)):
            found.append(f"{requirement}: needs a lower and an upper bound")
        if not re.search(rf"""["']{re.escape(requirement)}["'],?\s*# \S""", text):
            found.append(f"{requirement}: needs its reason, as a comment on its line")
    return found
