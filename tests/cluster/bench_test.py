#!/usr/bin/env python3
"""`weir bench` against a real cluster: what it prints, and that what it counts as acknowledged is stored."""

import json
import os
import re
import subprocess
import unittest

from cluster import Cluster, TIME_FACTOR, binary

# Bounds for a hang, not for speed.
BENCH_BOUND_S = 60


def bench(cluster, *arguments):
    """Runs `weir bench` to its end; returns (exit code, stdout, stderr)."""
    environment = {name: value for name, value in os.environ.items() if name != "WEIR_SERVER"}
    servers = ",".join(broker.http_address for broker in cluster)
    command = [binary(), "bench", *arguments, "--server", servers]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=BENCH_BOUND_S * TIME_FACTOR, check=False
    )
    return done.returncode, done.stdout, done.stderr


def bench_json(test, cluster, *arguments):
    code, out, words = bench(cluster, *arguments, "--json")
    test.assertEqual(code, 0, words)
    return json.loads(out)


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.leader = cls.cluster.wait_for_leader()

    def check_stored(self, topic, stored):
        """As many events as were counted, all different, with offsets without holes."""
        events = self.leader.client.events(topic)
        self.assertEqual(len(events), stored)
        self.assertEqual([event["offset"] for event in events], list(range(stored)))
        self.assertEqual(len({event["id"] for event in events}), stored)

    def test_what_is_counted_as_stored_is_stored_over_every_protocol(self):
        for protocol, batch in PROTOCOLS:
            with self.subTest(protocol):
                topic = f"bench/pub-{protocol}"
                figures = bench_json(
                    self, self.cluster, "pub", "--protocol", protocol, "--batch", str(batch), "--topic", topic,
                    "--events", "2000", "--warm-up", "0", "--clients", "4", "--dup", "10%", "--seconds", "30",
                )  # fmt: skip
                totals = figures["totals"]
                self.assertEqual(totals["sent"], 2000)
                self.assertEqual((totals["refused"], totals["unanswered"]), (0, 0), figures["problems"])
                self.assertEqual(totals["stored"] + totals["duplicates"], 2000)
                self.assertEqual(totals["duplicates"], 200)
                self.assertEqual(figures["acknowledged"], 2000)
                self.check_stored(topic, totals["stored"])
                self.check_costs(figures)

    def check_costs(self, figures):
        self.assertEqual(figures["durability"], "quorum-disk")
        self.assertEqual([node["leads"] for node in figures["nodes"]].count(True), 1)
        for node in figures["nodes"]:
            self.assertGreater(node["cpu_s"], 0, node)
        percentiles = figures["publish_us"]
        in_order = [percentiles[name] for name in ("p50", "p90", "p99", "p99.9", "max")]
        self.assertEqual(in_order, sorted(in_order))
        self.assertGreater(in_order[0], 0)

    def test_lines_for_people_name_what_was_measured(self):
        code, out, words = bench(self.cluster, "pub", "--seconds", "0.3", "--warm-up", "0.1", "--rate", "500")
        self.assertEqual(code, 0, words)
        self.assertEqual(words, "", "no live line without a terminal")
        self.assertRegex(
            out,
            re.compile(
                r"\Aweir bench pub: ws, 128 B, 1 per request, ids, 1 publishing, open loop at 500 events/s\n"
                r"0\.\d s after 0\.1 s of warm-up; topic bench/[0-9a-f]{8}; 3 nodes, leader n\d \([\d.:]+\); "
                r"durability quorum-disk\n"
                r"acknowledged +\d+ +\d+/s +\d+\.\d MB/s  duplicates 0\n"
                r"publish ms +p50 [\d.]+  p90 [\d.]+  p99 [\d.]+  p99\.9 [\d.]+  max [\d.]+ ms\n"
                r"in all +sent \d+, stored \d+, duplicates 0, refused 0, unanswered 0\n"
                r"cpu s/M +(n\d\*? [\d.]+  ){3}all [\d.]+  this program [\d.]+\n"
                r"disk +(n\d\*? \d+ flushes/s \(\d+ events each\) *){3}\n\Z"
            ),
        )

    def test_readers_get_every_event(self):
        for protocol, _ in PROTOCOLS:
            if protocol == "http":
                continue
            with self.subTest(protocol):
                read = bench_json(self, self.cluster, "sub", "--protocol", protocol, "--events", "3000", "--readers", "2")
                self.assertEqual(read["totals"]["delivered"], 6000)
                self.assertEqual(read["totals"]["undelivered"], 0)
                seen = bench_json(
                    self, self.cluster, "e2e", "--protocol", protocol, "--seconds", "0.5", "--warm-up", "0",
                    "--rate", "400", "--readers", "3",
                )  # fmt: skip
                self.assertEqual(seen["totals"]["delivered"], 3 * seen["totals"]["stored"])
                self.assertGreater(seen["delivery_us"]["count"], 0)

    def test_requests_go_to_as_many_topics_as_asked_for(self):
        figures = bench_json(
            self, self.cluster, "pub", "--protocol", "bin", "--batch", "10", "--topic", "bench/spread", "--topics", "5",
            "--events", "1000", "--warm-up", "0",
        )  # fmt: skip
        self.assertEqual((figures["totals"]["stored"], figures["topics"]), (1000, 5))
        for number in range(5):
            self.assertEqual(len(self.leader.client.events(f"bench/spread/{number}")), 200)

    def test_what_is_stored_already_can_be_read(self):
        topic = "bench/stored"
        for number in range(10):
            self.assertEqual(self.leader.client.publish_lines(topic, [{"data": f"{number}"}] * 100).status, 201)
        read = bench_json(
            self, self.cluster, "sub", "--protocol", "bin", "--stored", "--topic", topic, "--events", "1000"
        )
        self.assertEqual(read["totals"]["delivered"], 1000)
        self.assertEqual(len(self.leader.client.events(topic)), 1000)

    def test_what_cannot_be_measured_is_refused(self):
        for arguments in (
            ["pub", "--protocol", "ws", "--batch", "2"],
            ["pub", "--dup", "100%"],
            ["pub", "--dup", "10%", "--no-ids"],
            ["pub", "--payload", "3"],
            ["pub", "--dup", "10%", "--topics", "2"],
            ["sub", "--stored"],
        ):
            code, out, words = bench(self.cluster, *arguments)
            self.assertEqual((code, out), (2, ""), (arguments, words))


PROTOCOLS = (("http", 1), ("ndjson", 100), ("ws", 1), ("bin", 100))


if __name__ == "__main__":
    unittest.main()
