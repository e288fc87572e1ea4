"""The browser client in Node, and modules of the console by themselves."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

CONSOLE = Path(__file__).resolve().parents[2] / "hewston_bff" / "console"
CLIENT = CONSOLE / "client" / "hewston-bff.js"
_SCRIPT = Path(__file__).with_name("watch.mjs")

Line = list[Any]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class NodeClient:
    """The client, watching runs in Node."""

    process: asyncio.subprocess.Process
    lines: list[Line] = field(default_factory=list)

    async def until(self, wanted: Callable[[Line], bool]) -> Line:
        """The first line to come that is `wanted`."""
        assert self.process.stdout is not None
        while text := await self.process.stdout.readline():
            line: Line = msgspec.json.decode(text)
            self.lines.append(line)
            if wanted(line):
                return line
        assert self.process.stderr is not None
        errors = (await self.process.stderr.read()).decode()
        msg = f"the client ended before it came; last: {self.lines[-3:]}; {errors}"
        raise AssertionError(msg)

    async def seen(self, wanted: Callable[[Line], bool]) -> None:
        """Wait for a line that is `wanted`, unless one came before."""
        if not any(wanted(line) for line in self.lines):
            await self.until(wanted)

    async def event(self, name: str, *, run: str | None = None) -> Line:
        """The next event of this name, of any run or one."""
        return await self.until(lambda line: line[1] == name and run in {None, line[0]})

    async def frames(self, count: int) -> None:
        """Wait for so many more frames."""
        for _ in range(count):
            await self.event("frame")

    async def call(self, run: str | None, call: str, *args: Any) -> Line:
        """Give a command; its answer."""
        assert self.process.stdin is not None
        command = {"call": call, "args": args} | ({} if run is None else {"run": run})
        self.process.stdin.write(msgspec.json.encode(command) + b"\n")
        return await self.until(lambda line: line[1] in {"answer", "refused"} and line[2] == call)

    def hurry(self, run: str, *calls: list[Any]) -> None:
        """Give several commands at once, and wait for none."""
        assert self.process.stdin is not None
        commands = [{"run": run, "call": call, "args": args} for call, *args in calls]
        self.process.stdin.write(b"".join(msgspec.json.encode(one) + b"\n" for one in commands))

    def of(self, name: str, *, run: str | None = None) -> list[Line]:
        """What was seen so far."""
        return [line for line in self.lines if line[1] == name and run in {None, line[0]}]

    def seqs(self, run: str | None = None) -> list[int]:
        """The indices of the frames seen, merged ones spread out."""
        spans = [(line[2], line[3]) for line in self.of("frame", run=run)]
        return [seq for first, last in spans for seq in range(first, last + 1)]


@asynccontextmanager
async def node_client(
    url: str, runs: dict[str, Any], *, topics: Any = None, **options: Any
) -> AsyncIterator[NodeClient]:
    """The client in Node, connected to `url`, watching `runs` (run → options of `subscribe`).

    And `topics`, each with options of `topic`.
    """
    node = shutil.which("node")
    assert node is not None, "Node is needed: scripts/check installs it"
    wishes = {"client": CLIENT.as_uri(), "url": url, "connect": options, "runs": runs}
    wishes["topics"] = topics or {}
    process = await asyncio.create_subprocess_exec(
        node,
        "--experimental-websocket",  # Node 20 has it behind this flag only
        "--no-warnings",
        str(_SCRIPT),
        msgspec.json.encode(wishes).decode(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    try:
        yield NodeClient(process)
    finally:
        # The end of its input ends it. A signal would not do: `node` may be a wrapper's name, and
        # the program itself would live on.
        await process.communicate(b"")


def in_node(script: str, *, modules: dict[str, str]) -> Any:
    """What `script` returns, with these modules of the console at hand: names → file."""
    node = shutil.which("node")
    assert node is not None, "Node is needed: scripts/check installs it"
    imports = "".join(
        f"import {{ {names} }} from {msgspec.json.encode((CONSOLE / file).as_uri()).decode()};\n"
        for names, file in modules.items()
    )
    # What is not finite has no JSON: as text.
    program = (
        f"{imports}const result = (() => {{ {script} }})();\n"
        "process.stdout.write(JSON.stringify(result, (_, value) => typeof value === 'number'"
        " && !Number.isFinite(value) ? String(value) : value));"
    )
    command = [node, "--no-warnings", "--input-type=module", "-e", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)
