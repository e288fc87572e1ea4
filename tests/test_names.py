"""Each class name stands for one thing in the whole package, private ones included."""

import ast
from collections import defaultdict

import pytest

from tests.sources import PACKAGE, python_sources

# Names of the middle of the house that still stand for two things there.
STILL_TWICE = {"Answer", "Found", "Source", "_Kept"}


def defined_twice(sources: dict[str, str]) -> dict[str, list[str]]:
    """Class name → where it is defined, for names that are defined more than once."""
    places = defaultdict(list)
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")
    return {name: found for name, found in places.items() if len(found) > 1}


def test_each_class_name_is_given_once() -> None:
    found = defined_twice(python_sources(PACKAGE))
    told = [f"{name}: {', '.join(places)}" for name, places in found.items()]
    assert found.keys() <= STILL_TWICE, "\n".join(told)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("class A: ...", "class A(B): ..."),
        ("class _A: ...", "def f():\n    class _A: ..."),
        ("class A: ...\nclass A: ...", ""),
    ],
)
def test_a_name_given_twice_is_found(one: str, other: str) -> None:
    assert len(defined_twice({"a.py": one, "b.py": other})) == 1


def test_a_name_used_twice_is_no_name_given_twice() -> None:
    assert not defined_twice({"a.py": "class A: ...", "b.py": "from a import A\nB = A()"})
