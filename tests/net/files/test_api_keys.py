"""Keys of a file that changes."""

from hashlib import sha256
from pathlib import Path

import pytest
import structlog

from hewston_bff.api_keys import BadApiKeys
from hewston_bff.credentials import ApiCaller, Scope
from hewston_bff.errors import ApiKeyRequired, Forbidden
from hewston_bff.net.files.api_keys import ApiKeys

KEY = "key-of-the-desk"
CALLER = ApiCaller(KEY, is_trusted=True)
NOBODY = ApiCaller(is_trusted=True)


def line(key: str, scopes: str, name: str) -> str:
    return f"{sha256(key.encode()).hexdigest()} {scopes} {name}\n"


def put(file: Path, text: str) -> None:
    """Replace the file as operators should: by a rename."""
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.rename(file)


def test_without_a_file_trusted_callers_may_all_and_others_the_figures() -> None:
    keys = ApiKeys()
    assert [keys.refusal(NOBODY, scope) for scope in Scope] == [None] * 4
    for caller in (ApiCaller(), ApiCaller(KEY)):
        refused = [scope for scope in Scope if keys.refusal(caller, scope) is not None]
        assert refused == [Scope.BUS, Scope.JOBS, Scope.ORDERS]
        assert isinstance(keys.refusal(caller, Scope.BUS), Forbidden)


def test_with_a_file_only_a_key_with_the_scope_may(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(line("first", "stats", "a") + line(KEY, "bus,orders", "b"), encoding="utf-8")
    keys = ApiKeys(file)
    assert keys.refusal(CALLER, Scope.BUS) is None
    assert keys.refusal(CALLER, Scope.ORDERS) is None
    for scope in (Scope.JOBS, Scope.STATS):
        assert type(keys.refusal(CALLER, scope)) is Forbidden
        assert type(keys.refusal(NOBODY, scope)) is ApiKeyRequired
        assert type(keys.refusal(ApiCaller(KEY + "x", is_trusted=True), scope)) is ApiKeyRequired
    assert KEY not in repr(CALLER)


def test_a_withdrawn_key_no_longer_holds_and_listeners_hear_of_it(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(line(KEY, "bus", "desk") + line("b", "bus", "wall"), encoding="utf-8")
    keys = ApiKeys(file)
    heard: list[bool] = []
    keys.on_change(lambda: heard.append(keys.refusal(CALLER, Scope.BUS) is None))
    keys.look()
    put(file, f"# moved\n{line('b', 'bus', 'wall')}{line(KEY, 'bus', 'desk')}")
    keys.look()
    assert heard == [], "the same keys in other places are no change"
    with structlog.testing.capture_logs() as logs:
        put(file, line("b", "bus,jobs", "wall") + line("c", "bus", "phone"))
        keys.look()
        keys.look()
    assert heard == [False]
    assert logs == [
        {
            "event": "api_keys.changed",
            "log_level": "warning",
            "added": ["phone"],
            "withdrawn": ["desk"],
            "changed": ["wall"],
        }
    ]
    assert isinstance(keys.refusal(CALLER, Scope.BUS), ApiKeyRequired)


@pytest.mark.parametrize("bad", ["", "half a line", f"# a\n{KEY} bus desk", None])
def test_a_bad_edit_changes_nothing_and_is_logged_once(tmp_path: Path, bad: str | None) -> None:
    file = tmp_path / "keys"
    file.write_text(line(KEY, "bus", "desk"), encoding="utf-8")
    keys = ApiKeys(file)
    keys.on_change(lambda: pytest.fail("nothing changed"))
    if bad is None:
        file.unlink()
    else:
        put(file, bad)
    with structlog.testing.capture_logs() as logs:
        keys.look()
        keys.look()
    assert [log["event"] for log in logs] == ["api_keys.bad_file"]
    assert KEY not in str(logs)
    assert keys.refusal(CALLER, Scope.BUS) is None
    assert keys.refusal(NOBODY, Scope.BUS) is not None


def test_a_file_that_is_bad_or_absent_at_the_start_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    with pytest.raises(FileNotFoundError):
        ApiKeys(file)
    file.write_text(f"# keys\n{KEY} bus desk\n", encoding="utf-8")
    with pytest.raises(BadApiKeys, match="line 2"):
        ApiKeys(file)
    file.write_bytes(b"#" * (1 << 20 | 1))
    with pytest.raises(BadApiKeys, match="bytes"):
        ApiKeys(file)
