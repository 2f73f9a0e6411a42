#!/usr/bin/env python3
"""A node that was away for 100,000 events comes back and serves the same bytes."""

import unittest

from cluster import Cluster

TOPIC = "metrics/load"
EVENTS = 100_000
BATCH = 2_000


class CatchUp(unittest.TestCase):
    def test_a_node_stopped_for_100000_events_serves_identical_bytes(self):
        with Cluster(3) as cluster:
            away = cluster.follower()
            present = cluster.others(away)
            self.publish(cluster.wait_for_leader(), range(BATCH))
            self.assertEqual(away.terminate(), 0)
            self.publish(cluster.wait_for_leader(present), range(BATCH, BATCH + EVENTS))
            away.start()
            cluster.wait_for_position(BATCH + EVENTS, bound_s=60)
            served = {broker.name: broker.client.read_all(TOPIC, limit=10_000) for broker in cluster}
            self.assertEqual(served[present[0].name].count(b"\n"), BATCH + EVENTS)
            self.assertEqual(len(set(served.values())), 1, "the nodes do not serve identical bytes")
            self.check_repeats_are_known(away)

    def publish(self, broker, numbers):
        for start in range(numbers.start, numbers.stop, BATCH):
            events = [{"id": f"m-{n}", "data": {"n": n}} for n in range(start, min(start + BATCH, numbers.stop))]
            answer = broker.client.publish_lines(TOPIC, events)
            self.assertEqual((answer.status, answer.json()["stored"]), (201, len(events)), repr(answer))

    def check_repeats_are_known(self, broker):
        """Its index of ids was built from what it caught up with (FAULTS 62)."""
        events = [{"id": f"m-{n}", "data": {"n": n}} for n in range(EVENTS - 100, EVENTS)]
        answer = broker.client.publish_lines(TOPIC, events)
        self.assertEqual((answer.status, answer.json()["duplicates"]), (200, 100))
        found = broker.client.find_id(TOPIC, "m-77777")
        self.assertEqual((found.status, found.json()["offset"]), (200, 77_777))


if __name__ == "__main__":
    unittest.main(verbosity=2)
