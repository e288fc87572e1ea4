"""Keys that the program makes, and the file that it takes them from."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hewston_bff.api_keys import find_key, parse_api_keys
from hewston_bff.cli.main import cli
from hewston_bff.credentials import Scope


def _made(*arguments: str) -> tuple[str, str]:
    """The key and the line that the command prints."""
    result = CliRunner().invoke(cli, ["key", "new", *arguments], env={"COLUMNS": "40"})
    assert result.exit_code == 0, result.output
    key, line = re.findall(r"^ {2}(\S.*)$", result.output, re.MULTILINE)
    assert result.output.count(key) == 1
    return key, line


def test_a_new_key_is_found_by_the_line_that_is_printed_with_it() -> None:
    key, line = _made("the wall display", "--scope", "jobs,bus")
    found = find_key(parse_api_keys(line.encode()), key)
    assert found is not None
    assert found.name == "the wall display"
    assert found.scopes == {Scope.BUS, Scope.JOBS}
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key), "256 bits, and fit for a header and subprotocol"
    assert key not in line
    assert _made("again", "--scope", "bus")[0] != key


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["desk", "--scope", "trade"], "scopes must be"),
        (["desk", "--scope", ""], "scopes must be"),
        (["", "--scope", "bus"], "must have a name"),
        (["a\nb", "--scope", "bus"], "the name"),
    ],
)
def test_a_key_that_would_be_refused_is_not_made(arguments: list[str], reason: str) -> None:
    result = CliRunner().invoke(cli, ["key", "new", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert reason in result.output


def test_a_file_with_a_bad_line_is_refused_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# keys\nopensesame bus desk\n", encoding="utf-8")
    for command in ("serve", "check-config"):
        result = CliRunner().invoke(cli, [command], env={"BFF_API_KEYS_FILE": str(file)})
        assert result.exit_code == 2
        assert "BFF_API_KEYS_FILE" in result.output
        assert "line 2: must begin with the SHA-256" in result.output
        assert "opensesame" not in result.output
