"""Files of API keys, as operators write them."""

from hashlib import sha256
from pathlib import Path

BUS = "key-0-of-a-bus-reader"
STATS = "key-1-of-a-monitor"
ORDERS = "key-2-of-a-trader"
JOBS = "key-3-of-a-pipeline"
ALL = {BUS: "bus", STATS: "stats", ORDERS: "orders,bus", JOBS: "jobs"}


def key_file(folder: Path, keys: dict[str, str] = ALL) -> Path:
    """A file that gives these keys (key → scopes), replaced by a rename if it is there."""
    lines = [
        f"{sha256(key.encode()).hexdigest()} {scopes} holder {number}\n"
        for number, (key, scopes) in enumerate(keys.items())
    ]
    file, new = folder / "keys", folder / "keys.new"
    new.write_text("# keys\n" + "".join(lines), encoding="utf-8")
    return new.rename(file)
