"""The demo as a process: it shows topics without a Redis, and says that they are made up."""

import signal
from urllib.parse import quote

import aiohttp

from tests.program import once_up, program
from tests.support import free_port, is_a, viewer_of

KINDS = ["bus", "job", "system"]


async def test_the_demo_serves_topics_and_says_that_they_are_simulated() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with program("demo", "--port", str(port)) as process:
        async with aiohttp.ClientSession(url) as session:
            features = await once_up(session, "/api/v1/features")
            assert features["topics"] == features["simulated"] == KINDS
            topic = quote("bus:data.quotes.SIM.EUR/USD", safe="")
            async with session.get(f"/api/v1/topics/{topic}/last") as response:
                last = await response.json()
            assert last["data"]["instrument_id"] == "EUR/USD.SIM"
            async with session.get("/api/v1/topics?match=bus:data.bars.*-1-MINUTE-*") as response:
                assert (await response.json())["total"] == 40
        async with viewer_of(url + "/api/v1/stream") as viewer:
            for kind in KINDS:
                await viewer.say(t="subscribe", id=kind, topic=f"{kind}:*")
                await viewer.until(is_a("subscribed", re=kind))
                source = await viewer.until(is_a("source"))
                assert source == {"t": "source", "kind": kind, "status": "up", "simulated": True}
            await viewer.say(t="subscribe", id="old", topic="bus:events.*", **{"from": "start"})
            assert (await viewer.until(is_a("event", sid=4)))["type"] == "ComponentStateChanged"
            quoted = await viewer.until(is_a("event", sid=1, type="QuoteTick"))
            assert quoted["topic"].startswith("bus:data.quotes.")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
