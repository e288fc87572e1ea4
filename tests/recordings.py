"""Where the recordings of a real backend are, for every test that compares with them.

`HEWSTON_RECORDINGS` says where; without it they are looked for beside this checkout. They are not
part of it: where there are none, the tests that need them are skipped, and fail in CI.
"""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "recordings"
RECORDINGS = Path(os.environ.get("HEWSTON_RECORDINGS") or _BESIDE).resolve()

needs_recordings = pytest.mark.usefixtures("recordings")
"""Of a test that reads `RECORDINGS`."""


def present_recordings() -> Path:
    """The folder. Where there is none the test fails in CI, and is skipped elsewhere."""
    if not RECORDINGS.is_dir():
        missing = f"no recordings of a real backend in {RECORDINGS}: set HEWSTON_RECORDINGS"
        (pytest.fail if "CI" in os.environ else pytest.skip)(missing)
    return RECORDINGS
