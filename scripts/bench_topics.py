#!/usr/bin/env python3
"""Topics under load: from a real Redis, through the server, to many viewers. Run it by hand.

It starts a redis-server (which must be installed) and the server, writes quotes of many topics at
a rate, and lets viewers watch them all. Some viewers read every message: of these it tells whether
the counts are conserved, and how long an event takes from Redis to the socket. The others only
count, as reading everything would make the viewers what is measured. Writer, server, Redis and
viewers share this machine's cores.

    scripts/bench_topics.py --rate 20000 --topics 1000 --viewers 100 --mode latest --fps 10
    scripts/bench_topics.py --rate 1000 --topics 40 --viewers 100 --mode all
"""

import argparse
import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import msgspec
from yarl import URL

from hewston_bff.tools.loadtest.client import ReceiveBuffer, Shared, SocketClient
from hewston_bff.tools.loadtest.cpu import cpu_s
from hewston_bff.tools.loadtest.plan import ClientTarget, Mode, Plan
from hewston_bff.tools.loadtest.tally import Tally
from hewston_bff.tools.loadtest.wire import Opcode, client_frame, request, upgrade_headers

STREAM = "bench:stream"
PATTERN = "bus:data.quotes.*"
MAX_ENTRIES = 200_000
CHUNK_S = 0.005
MARK = b'{"t":"event"'
PATIENCE_S = 90.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def entry(number: int, topics: int) -> bytes:
    """The command that adds one quote, as Redis reads it."""
    now = time.time_ns()
    at = number % topics
    bid = f"1.{number % 99_999:05}"
    payload = (
        f'{{"type":"QuoteTick","instrument_id":"I{at:04}.BENCH","bid_price":"{bid}",'
        f'"ask_price":"2.00000","bid_size":"100000","ask_size":"100000",'
        f'"ts_event":"{now}","ts_init":"{now}"}}'
    )
    words = (
        *("XADD", STREAM, "MAXLEN", "~", str(MAX_ENTRIES), "*"),
        *("topic", f"data.quotes.BENCH.I{at:04}", "type", "", "payload", payload),
        *("encoding", "Json"),
    )
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in words
    )


async def write(port: int, *, rate: float, topics: int, seconds: float) -> None:
    """Write at a rate that does not wait for anybody, and print how many were written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count, total = 0, round(rate * seconds)
    began_s = time.monotonic()

    async def replies() -> None:
        while await reader.read(1 << 20):
            pass

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(replies())
        while count < total:
            due = min(total, round((time.monotonic() - began_s) * rate))
            writer.write(b"".join(entry(number, topics) for number in range(count, due)))
            count = due
            await writer.drain()
            await asyncio.sleep(CHUNK_S)
        writer.write_eof()
        await reading
    print(count, round(count / (time.monotonic() - began_s)))


class Counter(asyncio.BufferedProtocol):
    """A viewer that only counts: event messages and bytes."""

    def __init__(self, path: str, host: str, opening: bytes, buffer: ReceiveBuffer) -> None:
        self.messages = 0
        self.bytes = 0
        self._head = {"Host": host, **upgrade_headers(os.urandom(16))}
        self._path = path
        self._opening = opening
        self._buffer = buffer
        self._is_in = False
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in, and subscribe."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP gives no other
        self._transport = transport
        transport.write(request(self._path, self._head))

    def get_buffer(self, _sizehint: int) -> memoryview:
        """The shared buffer."""
        return self._buffer.view

    def buffer_updated(self, nbytes: int) -> None:
        """Count what has arrived."""
        if not self._is_in and self._transport is not None:
            self._is_in = True
            frame = client_frame(Opcode.TEXT, self._opening, mask=os.urandom(4))
            self._transport.write(frame)
        self.bytes += nbytes
        data = self._buffer.data
        # A mark that is cut in two counts once: when its second half is here.
        self.messages += data.count(MARK, 0, nbytes)
        seam = self._rest + bytes(data[: len(MARK) - 1])
        self.messages += seam.count(MARK)
        self._rest = bytes(data[max(0, nbytes - len(MARK) + 1) : nbytes])

    def close(self) -> None:
        """Go."""
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def started(*command: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of ours, ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def is_up(url: URL) -> None:
    """Wait until the server has reached the bus."""
    give_up_s = time.monotonic() + PATIENCE_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < give_up_s:
            try:
                async with session.ws_connect(url / "api/v1/stream") as ws:
                    await ws.send_str('{"t":"subscribe","topic":"bus:*","mode":"all"}')
                    answer = await ws.receive_json()
                    while answer["t"] != "subscribed":
                        answer = await ws.receive_json()
                    if answer["status"] != "buffering":
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    sys.exit("the server did not come up")


def as_it_is(viewer: asyncio.BufferedProtocol) -> asyncio.BufferedProtocol:
    """The protocol of a connection."""
    return viewer


async def measure(options: argparse.Namespace) -> None:
    """Run it all, and print the figures."""
    redis = shutil.which("redis-server") or shutil.which("redis-server", path="/usr/sbin:/usr/bin")
    if redis is None:
        sys.exit("redis-server is not installed")
    redis_port, port = free_port(), free_port()
    url = URL(f"http://127.0.0.1:{port}")
    with tempfile.TemporaryDirectory() as folder:
        command = (redis, "--port", str(redis_port), "--save", "", "--dir", folder)
        serve = (sys.executable, "-m", "hewston_bff", "serve", "--port", str(port))
        environ = {
            "BFF_BUS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "BFF_BUS_STREAMS": STREAM,
            "HEWSTON_BACKEND_URL": "http://127.0.0.1:1",
            "BFF_LOG_LEVEL": "WARNING",
        }
        async with started(*command), started(*serve, **environ) as server:
            await is_up(url)
            await watch(options, url, redis_port, server.pid)


async def watch(options: argparse.Namespace, url: URL, redis_port: int, pid: int) -> None:
    """Let the viewers come, write, and print what they got."""
    loop = asyncio.get_running_loop()
    plan = Plan(
        url=url,
        runs=(),
        topics=(PATTERN,),
        mode=Mode(options.mode),
        max_fps=options.fps,
        start="live",
    )
    target: ClientTarget = plan.target(0)
    tally = Tally()
    shared = Shared(headers=plan.headers(), tally=tally)
    exact = []
    for _ in range(min(options.exact, options.viewers)):
        topics = [tally.topic_stream(PATTERN, due_ns=time.monotonic_ns())]
        exact.append(SocketClient(target, streams=[], shared=shared, topics=topics))
    host = plan.headers()["Host"]
    buffer = ReceiveBuffer()
    counters = [
        Counter(target.path, host, target.opening[0], buffer)
        for _ in range(options.viewers - len(exact))
    ]
    for viewer in (*exact, *counters):
        await loop.create_connection(partial(as_it_is, viewer), plan.host, plan.port)
    await asyncio.sleep(1.0)
    tally.begin_window()
    began_s, server_s, own_s = loop.time(), cpu_s([pid]), time.process_time()
    rss_before = rss_mib(pid)
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--write-to", str(redis_port), "--rate", str(options.rate)),
        *("--topics", str(options.topics), "--seconds", str(options.seconds)),
        stdout=subprocess.PIPE,
    )
    while writer.returncode is None:
        await asyncio.sleep(0.1)
        tally.flush()
    told, _ = await writer.communicate()
    written, reached = map(int, told.split())
    give_up_s = loop.time() + PATIENCE_S
    while loop.time() < give_up_s and any(each.events < written for each in tally.topics):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.1)
    # Until all was delivered: a server that is behind has not paid for the rest yet.
    seconds, server_s = loop.time() - began_s, cpu_s([pid]) - server_s
    own_s = time.process_time() - own_s
    await asyncio.sleep(0.5)
    messages = tally.event_messages + sum(each.messages for each in counters)
    got = [each.events for each in tally.topics]
    figures = {
        "written": written,
        "written_per_s": reached,
        "seconds_until_delivered": round(seconds, 1),
        "topics": options.topics,
        "viewers": options.viewers,
        "viewers_that_read": len(exact),
        "mode": options.mode,
        "delivered_messages": messages,
        "delivered_messages_per_s": round(messages / seconds),
        "delivered_mb_per_s": round(
            (tally.wire_bytes / max(1, len(exact)) * options.viewers) / seconds / 1e6, 1
        ),
        "events_of_each_that_reads": sorted(set(got)),
        "is_conserved": set(got) == {written}
        and (options.mode != "all" or {each.messages for each in counters} <= {written}),
        "lags": sum(each.lags for each in tally.topics),
        "out_of_order": sum(each.breaks for each in tally.topics),
        "counts_that_differ": sum(each.uneven for each in tally.topics),
        "redis_to_socket_ms": tally.event_latencies.percentiles(),
        "errors": dict(tally.errors),
        "server_cpu_percent": round(100 * server_s / seconds, 1),
        "server_us_per_event_in": round(1e6 * server_s / max(1, written), 1),
        "server_us_per_message": round(1e6 * server_s / max(1, messages), 2),
        "server_rss_mib": [round(rss_before, 1), round(rss_mib(pid), 1)],
        "viewers_cpu_percent": round(100 * own_s / seconds, 1),
    }
    print(msgspec.json.format(msgspec.json.encode(figures)).decode())
    for viewer in exact:
        viewer.abort()
    for counter in counters:
        counter.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=20_000, help="entries a second")
    parser.add_argument("--topics", type=int, default=1_000)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--exact", type=int, default=2, help="viewers that read every message")
    parser.add_argument("--mode", choices=["latest", "all"], default="latest")
    parser.add_argument("--fps", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--write-to", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write_to:
        writing = write(
            options.write_to, rate=options.rate, topics=options.topics, seconds=options.seconds
        )
        asyncio.run(writing)
    else:
        asyncio.run(measure(options))


if __name__ == "__main__":
    main()
