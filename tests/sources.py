"""The project's own files, as the tests of layers and of conventions read them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "hewston_bff"

# Made by tools or of one machine: neither they nor anything below them is looked at.
_SKIPPED = {
    *("node_modules", "vendor", "screenshots", "build", "dist", "htmlcov", "__pycache__"),
    *(".git", ".env"),
}
_OWN_DOT_FOLDERS = {".ci", ".github"}


def walk(folder: Path = ROOT) -> Iterator[Path]:
    """All files of the project below the folder, in a stable order, without what tools made."""
    for path in sorted(folder.iterdir()):
        if _is_skipped(path):
            continue
        if path.is_dir():
            yield from walk(path)
        else:
            yield path


def _is_skipped(path: Path) -> bool:
    name = path.name
    is_hidden = path.is_dir() and name.startswith(".") and name not in _OWN_DOT_FOLDERS
    return is_hidden or name in _SKIPPED or name.endswith(".egg-info")


@cache
def python_sources(*folders: str) -> dict[str, str]:
    """Path from the root → text, of every Python file in these top folders that exist."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for folder in folders
        if (ROOT / folder).is_dir()
        for path in walk(ROOT / folder)
        if path.suffix == ".py"
    }


def module_name(path: str) -> str:
    """Dotted name of a module: hewston_bff/protocol/ids.py → hewston_bff.protocol.ids."""
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def aliases(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: `from asyncio import sleep as s` → {s: asyncio.sleep}."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return known


def dotted(node: ast.AST, known: dict[str, str]) -> str:
    """The dotted name of an expression, imports resolved; parts that are no names read `?`."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, known)}.{node.attr}"
    return "?"
