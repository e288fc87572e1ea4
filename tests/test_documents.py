"""What the documents list is what the code has."""

import re
from pathlib import Path

from hewston_bff.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path.read_text() for path in sorted((ROOT / "hewston_bff").rglob("*.py"))]
_LOGGED = re.compile(r'(?:logger\.\w+|contain)\(\s*(?:\w+, )?"([a-z_]+\.[a-z_.]+)"')
_VARIABLE = re.compile(r"`((?:BFF|HEWSTON|REDIS)_[A-Z_]+)`")


def test_every_log_event_is_in_the_operators_table() -> None:
    logged = {event for source in SOURCES for event in _LOGGED.findall(source)}
    listed = set(
        re.findall(r"`([a-z_]+\.[a-z_.]+)`", (ROOT / "docs" / "operations.md").read_text())
    )
    assert len(logged) > 30
    assert logged - listed == set()


def test_every_setting_is_in_the_reference_and_nothing_else_is() -> None:
    text = (ROOT / "docs" / "reference.md").read_text()
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
