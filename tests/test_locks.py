"""The lock files are complete: they are installed without a resolver."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+))?", re.MULTILINE)
LOCKS = {"requirements.txt": {"uvloop", "artifacts"}, "requirements-test.txt": {"test", "dev"}}


def pins(lock: str) -> dict[str, set[str]]:
    """Name → versions pinned, for any platform."""
    found: dict[str, set[str]] = {}
    for name, version, _ in _PIN.findall((ROOT / ".ci" / lock).read_text()):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def requirements(name: str, extras: set[str]) -> Iterator[Requirement]:
    """What a distribution that is installed asks for here."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            yield requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_all_that_is_asked_for_is_pinned_extras_of_dependencies_included(lock: str) -> None:
    pinned = pins(lock)
    waiting: list[tuple[str, frozenset[str]]] = [("hewston-bff", frozenset(LOCKS[lock]))]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        for requirement in requirements(name, set(extras)):
            wanted = canonicalize_name(requirement.name)
            assert wanted in pinned, f"{name} asks for {requirement}"
            assert any(requirement.specifier.contains(v, prereleases=True) for v in pinned[wanted])
            each = (wanted, frozenset(requirement.extras))
            try:
                distribution(wanted)
            except PackageNotFoundError:
                continue
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    assert len(seen) > 30


def test_what_runs_is_what_was_tested() -> None:
    tested = pins("requirements-test.txt")
    for name, versions in pins("requirements.txt").items():
        assert versions <= tested[name]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host(lock: str) -> None:
    text = (ROOT / ".ci" / lock).read_text()
    assert "://" not in text


@pytest.mark.parametrize("script", ["scripts/env", "Dockerfile"])
def test_nothing_is_resolved_where_a_lock_is_installed(script: str) -> None:
    lines = (ROOT / script).read_text().splitlines()
    installs = [line for line in lines if "--require-hashes" in line]
    assert installs
    assert all("--no-deps" in line for line in installs)
