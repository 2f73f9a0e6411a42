#!/usr/bin/env python3
"""SIGTERM: what is under way is answered, what is new goes elsewhere, and the process ends well (FAULTS 78)."""

import pathlib
import signal
import socket
import time
import unittest

from broker_client import LOOPBACK, Stream, Unreachable
from cluster import TIME_FACTOR, Cluster, wait_until
from websocket_client import WebSocket
from workload import Publisher, check_stored_once

TOPIC = "orders/new"
DRAIN_BOUND_S = 10


class Drain(unittest.TestCase):
    def test_each_node_in_turn_under_load(self):
        with Cluster(3) as cluster:
            publisher = Publisher([broker.http_port for broker in cluster], TOPIC)
            publisher.start()
            for broker in list(cluster):
                acked = len(publisher.acked)
                wait_until(lambda: len(publisher.acked) > acked + 20, 20, "publishing goes on")
                began = time.monotonic()
                self.assertEqual(broker.terminate(DRAIN_BOUND_S), 0, broker.name)
                self.assertLess(time.monotonic() - began, DRAIN_BOUND_S * TIME_FACTOR)
                broker.start()
                cluster.wait_for_leader()
            publisher.stop()
            check_stored_once(self, cluster, TOPIC, publisher)

    def test_open_subscriptions_do_not_hold_it_up(self):
        with Cluster(1) as cluster:
            broker = cluster.brokers[0]
            self.assertEqual(broker.client.publish(TOPIC, "x").status, 201)
            with (
                Stream(broker.http_port, f"/v1/events/{TOPIC}?from=earliest", sse=True) as sse,
                Stream(broker.http_port, f"/v1/events/{TOPIC}?from=earliest&follow=1") as lines,
                WebSocket(broker.http_port) as ws,
                socket.create_connection((LOOPBACK, broker.http_port)) as silent,
            ):
                silent.sendall(b"POST /v1/events/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhal")
                ws.send_json({"op": "sub", "sid": 1, "topic": TOPIC, "from": "earliest"})
                self.assertEqual([len(sse.take(1)), len(lines.take(1)), len(ws.events(1))], [1, 1, 1])
                self.assertEqual(broker.terminate(DRAIN_BOUND_S), 0)
                self.assertEqual(ws.close_code(), 1001)
                for stream in (sse, lines):
                    with self.assertRaises(Unreachable):
                        stream.take(1)

    def test_sigterm_before_there_is_a_cluster(self):
        with Cluster(3, start=False) as cluster:
            broker = cluster.brokers[0].start()
            wait_until(lambda: self.healthy(broker), 20, "it answers /healthz")
            self.assertEqual(broker.terminate(DRAIN_BOUND_S), 0)

    def test_only_the_main_thread_takes_signals(self):
        with Cluster(1) as cluster:
            process = pathlib.Path(f"/proc/{cluster.brokers[0].process.pid}")
            blocks = {int(thread.name): self.blocks_stop_signals(thread) for thread in (process / "task").iterdir()}
            self.assertFalse(blocks.pop(int(process.name)))
            self.assertGreaterEqual(len(blocks), 5)  # disk, read, save, log, net
            self.assertTrue(all(blocks.values()), blocks)

    def blocks_stop_signals(self, thread):
        lines = (thread / "status").read_text().splitlines()
        mask = int(next(line for line in lines if line.startswith("SigBlk:")).split()[1], 16)
        return all(mask >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM))

    def healthy(self, broker):
        try:
            return broker.client.get("/healthz").status == 200
        except Unreachable:
            return False


if __name__ == "__main__":
    unittest.main(verbosity=2)
