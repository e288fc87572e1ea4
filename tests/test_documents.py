"""What the documents say of the code is true of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hewston_bff.settings import Settings
from tests.test_layers import MAY_IMPORT

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hewston_bff"
SOURCES = [path.read_text() for path in sorted(PACKAGE.rglob("*.py"))]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_LOGGED = re.compile(r'(?:logger\.\w+|contain)\(\s*(?:\w+, )?"([a-z_]+\.[a-z_.]+)"')
_VARIABLE = re.compile(r"`((?:BFF|HEWSTON|REDIS)_[A-Z_]+)`")
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_TEST = re.compile(r"test_\w+")
_DEFINED = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.MULTILINE)
_FILE_TYPES = {"", ".py", ".js", ".ts", ".md", ".txt"}


def document(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the first table in a text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_log_event_is_in_the_operators_table() -> None:
    logged = {event for source in SOURCES for event in _LOGGED.findall(source)}
    listed = set(re.findall(r"`([a-z_]+\.[a-z_.]+)`", document("operations.md")))
    assert len(logged) > 30
    assert logged - listed == set()


def test_every_setting_is_in_the_reference_and_nothing_else_is() -> None:
    text = document("reference.md")
    table = text[text.index("## Settings") :]
    named = set(_VARIABLE.findall(table))
    # `BFF_A_B`, `…_C` in one row is `BFF_A_B` and `BFF_A_C`, or `BFF_C` of another stem.
    shortened = set(re.findall(r"`…(_[A-Z_]+)`", table))
    settings = {field.upper() for field in Settings.model_fields}
    unlisted = {
        name for name in settings - named if not any(name.endswith(end) for end in shortened)
    }
    assert unlisted == set()
    assert named - settings == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_variables_that_a_document_names_are_settings(path: Path) -> None:
    named = set(_VARIABLE.findall(path.read_text()))
    assert {name.lower() for name in named} - Settings.model_fields.keys() <= {
        "hewston_recordings"  # of the tests
    }


# -- files and tests


def is_there(name: str) -> bool:
    """Whether a path, from the root or below the package, leads to something."""
    return (ROOT / name).exists() or (PACKAGE / name).exists()


def named_paths(text: str) -> set[str]:
    """Paths of the repository that a text has as code; a script may have arguments."""
    tops = {path.name for path in (*ROOT.iterdir(), *PACKAGE.iterdir()) if path.is_dir()}
    found = {code.split()[0] for code in _CODE.findall(text) if code.strip()}
    return {
        name
        for name in found
        if name.partition("/")[0] in tops and "/" in name and Path(name).suffix in _FILE_TYPES
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_exist(path: Path) -> None:
    text = path.read_text()
    assert [name for name in sorted(named_paths(text)) if not is_there(name)] == []
    links = {link for link in _LINK.findall(text) if "://" not in link}
    assert [link for link in sorted(links) if not (path.parent / link).exists()] == []


def test_files_are_found_in_what_a_document_says() -> None:
    text = "`hub/hub.py`, `hub/no.py`, `scripts/demo --port 1`, `a/b.py`, `/metrics`, `x = 1`"
    assert named_paths(text) == {"hub/hub.py", "hub/no.py", "scripts/demo"}
    assert [name for name in sorted(named_paths(text)) if not is_there(name)] == ["hub/no.py"]
    assert len(named_paths(document("architecture.md"))) > 40


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_tests_that_a_document_names_exist(path: Path) -> None:
    defined = {
        name
        for source in (ROOT / "tests").rglob("test_*.py")
        for name in _DEFINED.findall(source.read_text())
    }
    named = {code for code in _CODE.findall(path.read_text()) if _TEST.fullmatch(code)}
    modules = {source.stem for source in (ROOT / "tests").rglob("test_*.py")}
    assert len(defined) > 500
    assert named - defined - modules == set()


# -- architecture


def test_the_table_of_packages_says_what_each_may_import() -> None:
    seen: set[str] = set()
    said: dict[str, set[str]] = {}
    for packages, _, may_import in rows(section(document("architecture.md"), "Packages")):
        names = set(_CODE.findall(packages))
        above = may_import == "all above"
        said |= dict.fromkeys(names, set(seen) if above else set(_CODE.findall(may_import)))
        assert said[min(names)] <= seen, f"{names} may import what stands below them"
        seen |= names
    # Everybody may read the version; who starts the program, and what is no Python, are no units.
    rules = {name: others - {""} for name, others in MAY_IMPORT.items()}
    assert {"__main__", ""} | said.keys() - {"console"} == rules.keys()
    assert {name: rules[name] for name in said if name in rules} == {
        name: others for name, others in said.items() if name in rules
    }


# -- security and decisions


def test_every_claim_about_security_names_the_test_that_holds_it() -> None:
    text = document("SECURITY.md")
    claims = [
        row for part in re.split(r"\n(?=## )", text) if "| held by |" in part for row in rows(part)
    ]
    assert len(claims) > 20
    assert [row[0] for row in claims if not _TEST.search(row[-1])] == []


def test_every_decision_has_an_id_of_its_own_and_a_date() -> None:
    text = document("decisions.md")
    heads = [line for line in text.splitlines() if line.startswith("**")]
    ids = [int(match[1]) for line in heads if (match := re.match(r"\*\*D(\d+) · ", line))]
    assert ids == list(range(1, len(heads) + 1))
    dated = re.compile(r"\*\*D\d+ · \d{4}-\d\d-\d\d · .+?\*\*")
    assert [line for line in heads if not dated.match(line)] == []
    meant = {int(number) for number in re.findall(r"\bD(\d+)\b", text)}
    assert meant <= set(ids)
