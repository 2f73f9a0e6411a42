#!/usr/bin/env python3
"""A real log file, one event per line, through a follower, twice; read back from every node in every way."""

import hashlib
import random
import re
import socket
import unittest
from pathlib import Path

from broker_client import LOOPBACK, Stream, payload
from cluster import Cluster
from websocket_client import WebSocket

LINES_MIN = 1_000
LINES_MAX = 8_000  # keeps two runs, one fsync each line, within a minute
TOPIC = "logs/dpkg"
WINDOW = 64  # requests sent ahead on one connection


def real_lines():
    """The package manager's log if this machine has a long one, else one made up, with lines that repeat."""
    path = Path("/var/log/dpkg.log")
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        lines = []
    if len(lines) < LINES_MIN:
        dice = random.Random(7)
        lines = [
            f"2026-01-01 00:{number // 400:02}:00 status installed package-{dice.randrange(300)}:amd64 1.0".encode()
            for number in range(2 * LINES_MIN)
        ]
    lines = lines[:LINES_MAX]
    if len(set(lines)) == len(lines):
        lines[-LINES_MIN // 10 :] = lines[: LINES_MIN // 10]  # a log that was just begun may repeat nothing yet
    return lines


def ids_of(lines):
    return [f"{number}:{hashlib.sha256(line).hexdigest()[:16]}" for number, line in enumerate(lines, 1)]


def publish_pipelined(port, lines, ids):
    """One text/plain POST per line on one connection, up to WINDOW ahead; [(status, offset)] in order of asking."""
    results = []
    with socket.create_connection((LOOPBACK, port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies = connection.makefile("rb")
        for start in range(0, len(lines), WINDOW):
            requests = b"".join(
                b"POST /v1/events/%s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: text/plain\r\nWeir-Id: %s\r\n"
                b"Content-Length: %d\r\n\r\n%s"
                % (TOPIC.encode(), LOOPBACK.encode(), port, event_id.encode(), len(line), line)
                for line, event_id in zip(lines[start : start + WINDOW], ids[start : start + WINDOW])
            )
            connection.sendall(requests)
            results += [read_reply(replies) for _ in lines[start : start + WINDOW]]
    return results


def read_reply(replies):
    status = int(replies.readline().split()[1])
    headers = {}
    while line := replies.readline().strip():
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    replies.read(int(headers[b"content-length"]))
    return status, int(headers.get(b"weir-offset", -1))


class RealInput(unittest.TestCase):
    def test_every_line_is_stored_once_and_reads_back_identically_everywhere(self):
        lines = real_lines()
        ids = ids_of(lines)
        self.assertGreater(len(lines), len(set(lines)) or len(lines) - 1, "the input has no repeated line")
        with Cluster(3) as cluster:
            follower = cluster.follower()
            first = publish_pipelined(follower.http_port, lines, ids)
            self.assertEqual({status for status, _ in first}, {201})
            # One connection's pipelined publishes keep their order (FAULTS 73).
            self.assertEqual([offset for _, offset in first], list(range(len(lines))))
            second = publish_pipelined(follower.http_port, lines, ids)
            self.assertEqual({status for status, _ in second}, {200})
            self.assertEqual([offset for _, offset in second], [offset for _, offset in first])

            cluster.wait_for_position(len(lines))
            for broker in cluster:
                self.assertEqual(broker.status()["position"], len(lines), "duplicates moved the position")
                self.check_pull(broker, lines, ids)
                self.check_sse(broker, lines, ids)
                self.check_websocket(broker, lines, ids)

    def check_pull(self, broker, lines, ids):
        events = broker.client.events(TOPIC)
        self.assertEqual([payload(event) for event in events], lines, f"pull from {broker.name}")
        self.assertEqual([event["id"] for event in events], ids)
        text = b""
        while (count := text.count(b"\n")) < len(lines):
            page = broker.client.get(f"/v1/events/{TOPIC}?from={count}&limit=1000", headers={"Accept": "text/plain"})
            self.assertEqual(page.status, 200)
            self.assertTrue(page.body, f"text/plain from {broker.name} ended after {count} lines")
            text += page.body
        self.assertEqual(text, b"".join(line + b"\n" for line in lines), f"text/plain from {broker.name}")

    def check_sse(self, broker, lines, ids):
        with Stream(broker.http_port, f"/v1/events/{TOPIC}?from=earliest", sse=True) as stream:
            events = stream.take(len(lines))
        self.assertEqual([payload(event) for event in events], lines, f"SSE from {broker.name}")
        self.assertEqual([event["id"] for event in events], ids)

    def check_websocket(self, broker, lines, ids):
        with WebSocket(broker.http_port) as ws:
            ws.send_json({"op": "sub", "sid": 1, "topic": TOPIC, "from": "earliest"})
            events = ws.events(len(lines))
        self.assertEqual([payload(event) for event in events], lines, f"WebSocket from {broker.name}")
        self.assertEqual([event["id"] for event in events], ids)

    def test_the_made_up_log_has_what_the_real_one_has(self):
        lines = real_lines()
        self.assertGreaterEqual(len(lines), LINES_MIN)
        self.assertEqual(len(set(ids_of(lines))), len(lines))
        self.assertTrue(all(re.fullmatch(rb"[^\r\n]+", line) for line in lines))


if __name__ == "__main__":
    unittest.main(verbosity=2)
