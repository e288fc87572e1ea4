"""A real nginx of the test's own, configured as the documentation says."""

import asyncio
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.program import ROOT
from tests.support import free_port, program

PLAIN = "location / { proxy_pass http://127.0.0.1:8001; }"
"""What everybody writes first: HTTP/1.0, no `Upgrade`, another `Host`."""

_TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
FULL, PREFIXED, BETWEEN = re.findall(r"```nginx\n(.*?)```", _TEXT, re.DOTALL)
MAP = FULL[: FULL.index("server {")]
DIRECT = "server {" + FULL.partition("server {")[2]


def server(location: str) -> str:
    """A server with this location alone."""
    return f"server {{ listen 80;\n{location}\n}}"


@asynccontextmanager
async def nginx(folder: Path, *, config: str, upstream: int) -> AsyncIterator[int]:
    """A proxy in front of port `upstream`, with the documentation's ports replaced; its own port."""
    port = free_port()
    config = config.replace("127.0.0.1:8001", f"127.0.0.1:{upstream}")
    config = config.replace("listen 80;", f"listen 127.0.0.1:{port};")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"{kind}_temp_path {folder}/{kind}-{port};" for kind in kinds)
    file = folder / f"nginx-{port}.conf"
    file.write_text(
        "daemon off; master_process off; error_log stderr notice;\n"
        f"pid {folder}/nginx-{port}.pid;\nevents {{}}\n"
        f"http {{ access_log off;\n{places}\n{MAP}{config}\n}}\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(program("nginx"), "-p", str(folder), "-c", str(file), "-e", "stderr"),
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        assert process.stderr is not None
        seen = b""
        # Said once the port is open.
        while b"event method" not in seen:
            line = await process.stderr.readline()
            assert line, f"nginx ended: {seen.decode()}"
            seen += line
        yield port
    finally:
        process.kill()
        await process.communicate()
