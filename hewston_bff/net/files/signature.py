"""Whether a watched file has changed."""

from pathlib import Path

Signature = tuple[int, int, int]
"""Another one means another content, or another right to read it."""

_UNREADABLE = (0, 0, 0)


def signature(file: Path) -> Signature | None:
    """The signature of a file; None if it is not there."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return _UNREADABLE
    # Not when it was written: a copy may keep that, and a change of who may read it does.
    return status.st_ctime_ns, status.st_size, status.st_ino
