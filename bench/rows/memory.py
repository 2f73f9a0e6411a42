"""What brokers take that do nothing, and what each WebSocket subscriber adds that hears nothing."""

import asyncio
import base64
import json
import os
import resource
import time

from node import get, metrics, rss_anon_bytes
from processes import NotReady
from websocket_client import TEXT, frame

TOPIC = "rows/idle"
BOUND_S = 60
# What was begun at the start has ended by then.
SETTLE_S = 5
FIRST_FEW = 20
OPEN_AT_ONCE = 50
DESCRIPTORS = 4096


async def subscribe(address):
    """A connection whose subscription the server has confirmed."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = base64.b64encode(os.urandom(16)).decode()
    head = ["GET /v1/ws HTTP/1.1", f"Host: {address}", "Upgrade: websocket", "Connection: Upgrade"]
    head += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    writer.write("\r\n".join(head).encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in answer.split(b"\r\n")[0]:
        raise NotReady(f"a WebSocket was refused: {answer[:200]!r}")
    writer.write(frame(TEXT, json.dumps({"op": "sub", "sid": 1, "topic": TOPIC, "from": "latest"}).encode()))
    await reader.readuntil(b'"op":"subscribed"')
    return writer


async def subscribe_all(address, count):
    """A few at a time: what is measured is idle subscribers, not a storm of new ones."""
    gate = asyncio.Semaphore(OPEN_AT_ONCE)

    async def one():
        async with gate:
            return await subscribe(address)

    return await asyncio.wait_for(asyncio.gather(*(one() for _ in range(count))), BOUND_S)


async def bytes_of_subscribers(leader, count):
    """Of the broker `leader`. The first few are open before, so that what one subscriber needs at all is not counted."""
    few = await subscribe_all(leader["http"], FIRST_FEW)
    await asyncio.sleep(SETTLE_S / 2)
    before = rss_anon_bytes(leader["pid"])
    many = await subscribe_all(leader["http"], count)
    await asyncio.sleep(SETTLE_S)
    after = rss_anon_bytes(leader["pid"])
    there = metrics(leader["http"])["weir_websocket_subscriptions"]
    if there != count + FIRST_FEW:
        raise NotReady(f"{there:.0f} subscriptions of {count + FIRST_FEW} are open")
    for writer in (*few, *many):
        writer.close()
    return (after - before) / count


def leader_of(nodes):
    status, body = get(nodes[0]["http"], "/v1/cluster")
    if status != 200:
        raise NotReady(f"/v1/cluster answers {status}")
    name = json.loads(body)["leader"]
    return next(node for node in nodes if node["node"] == name)


def measure(servers, weir, subscribers):
    """`weir`: a `weir dev` that was started just now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, DESCRIPTORS)), hard))
    nodes = json.loads((servers.folder / "weir" / "dev").read_text())["nodes"]
    time.sleep(SETTLE_S)
    idle = max(rss_anon_bytes(node["pid"]) for node in nodes)
    try:
        each = asyncio.run(bytes_of_subscribers(leader_of(nodes), subscribers))
    except (OSError, EOFError, asyncio.TimeoutError) as error:
        raise NotReady(f"subscribers: {error!r}\n{servers.logs()}") from error
    return {"an idle broker, MiB": idle / (1 << 20), "an idle subscriber, KiB": each / (1 << 10)}
