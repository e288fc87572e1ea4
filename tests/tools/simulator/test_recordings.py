"""Recordings of a real backend as simulated runs."""

import gzip
from pathlib import Path

import pytest

from hewston_bff.tools.simulator import SimulatedStatus, load_recording
from tests.recordings import RECORDINGS, needs_recordings

_LINES = (
    b'{"dt_ms":2.0,"msg":{"t":"ctrl","cmd":"play","echo":true}}\n'
    b'{"dt_ms":17.5,"msg":{"t":"frame","ts":"2024-01-02T14:30:00Z","ohlc":'
    b'{"o":1.5,"h":2.0,"l":1.0,"c":1.25,"v":7},"orders":[],"equity":null,"dropped":0}}\n'
    b'{"dt_ms":17.6,"msg":{"t":"frame","ts":"2024-01-03T14:30:00Z","ohlc":null,"dropped":0}}\n'
    b'{"dt_ms":5000.0,"msg":{"t":"hb"}}\n'
)


@pytest.mark.parametrize("name", ["abc.jsonl", "abc.jsonl.gz"])
def test_a_recording_becomes_a_run_of_its_frames(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(_LINES) if name.endswith(".gz") else _LINES)
    run = load_recording(path, symbol="TSLA")
    assert run.run_id == "abc"
    assert run.progress(0) == (SimulatedStatus.DONE, 2, True)
    assert run.frames[1] == (
        b'{"t": "frame", "ts": "2024-01-03T14:30:00Z", "ohlc": null, "dropped": 0}'
    )
    assert (run.run_from.isoformat(), run.run_to.isoformat()) == ("2024-01-02", "2024-01-03")
    assert [column.tolist() for column in run.bars.columns()[1:]] == [
        [150],
        [200],
        [100],
        [125],
        [7],
    ]


def test_a_recording_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(b'{"dt_ms":1.0,"msg":{"t":"hb"}}\n')
    with pytest.raises(ValueError, match="no frame"):
        load_recording(path)


@needs_recordings
@pytest.mark.parametrize(
    ("name", "frame_count"),
    [
        ("2d5e4d11831541a38b9af277c23fbf85.jsonl", 2),
        ("654658d82be94356804a91544f6afd49.jsonl.gz", 7791),
    ],
)
def test_a_real_recording_has_the_bytes_the_backend_sent(name: str, frame_count: int) -> None:
    run = load_recording(RECORDINGS / "ws" / name)
    assert len(run.frames) == frame_count
    # the same run was recorded as text over SSE, byte by byte
    events = (RECORDINGS / "sse" / f"{run.run_id}.txt").read_bytes().splitlines()
    data = [line.removeprefix(b"data: ") for line in events if line.startswith(b'data: {"t"')]
    assert data[-1] == run.frames[-1]
    assert data[:-1] == run.frames[: len(data) - 1]
