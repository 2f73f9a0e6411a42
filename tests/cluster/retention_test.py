#!/usr/bin/env python3
"""What retention takes is gone on every node, for reads and for ids, and is never passed over in silence
(FAULTS 56, 62, 63)."""

import unittest

from broker_client import Stream
from cluster import Cluster, wait_until

TOPIC = "readings"
KEPT = 100
STORED = 350


def lines(first, end):
    return [{"id": f"id-{number}", "data": number} for number in range(first, end)]


class Retention(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3, start=False)
        for broker in self.cluster:
            broker.extra = ["--retention-count", str(KEPT)]
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.cluster.start_all()
        self.cluster.wait_for_leader()

    def first_offset(self, broker):
        return int(broker.client.request("HEAD", f"/v1/events/{TOPIC}").headers["weir-first"])

    def fill(self):
        """Returns a cursor that stands behind the tenth event, and the offset that everybody then begins with."""
        client = self.cluster.follower().client
        for first in range(0, STORED, 10):
            answer = client.publish_lines(TOPIC, lines(first, first + 10))
            self.assertEqual(answer.status, 201, repr(answer))
            if first == 0:
                cursor = answer.json()["cursor"]
        expected = STORED - KEPT

        def all_begin_there():
            return all(self.first_offset(broker) == expected for broker in self.cluster)

        wait_until(all_begin_there, 20, f"every node begins with offset {expected}")
        return cursor, expected

    def test_readers_are_told_and_get_the_rest(self):
        cursor, first = self.fill()
        for broker in self.cluster:
            client = broker.client
            self.assertEqual([event["offset"] for event in client.events(TOPIC)], list(range(first, STORED)))
            below = client.get(f"/v1/events/{TOPIC}?from=7&limit=5")
            self.assertEqual((below.status, below.json()["type"]), (410, "urn:weir:problem:gap"), repr(below))
            self.assertEqual(below.json()["first"], first)
            self.assertEqual(below.json()["missing"], {"topic": TOPIC, "from": 7, "to": first - 1})
            behind = client.get(f"/v1/events/{TOPIC}?from=after:{cursor}&limit=5")
            self.assertEqual(behind.status, 410, repr(behind))
            self.assertEqual(behind.json()["missing"], {"from_position": 11, "to_position": first})
            pattern = client.get(f"/v1/events/**?from=after:{cursor}&limit=5")
            self.assertEqual(pattern.status, 410, repr(pattern))
            with Stream(broker.http_port, f"/v1/events/**?from=after:{cursor}&follow=1") as stream:
                name, gap = stream.next_message()
                self.assertEqual((name, gap["missing"]), ("gap", {"from_position": 11, "to_position": first}))
                self.assertEqual(stream.next_event()["offset"], first)

    def test_ids_go_with_their_events_and_stay_gone_after_a_restart(self):
        _, first = self.fill()
        for broker in self.cluster:
            broker.kill()
        self.cluster.start_all()
        self.cluster.wait_for_leader()
        client = self.cluster.follower().client
        inside = client.publish_lines(TOPIC, lines(first, first + 1))
        self.assertEqual((inside.status, inside.json()["results"][0]["offset"]), (200, first), repr(inside))
        outside = client.publish_lines(TOPIC, lines(first - 1, first))
        self.assertEqual((outside.status, outside.json()["results"][0]["offset"]), (201, STORED), repr(outside))
        self.cluster.wait_for_position(STORED + 1)
        for broker in self.cluster:
            self.assertEqual(broker.client.find_id(TOPIC, "id-0").status, 404)
            self.assertEqual(broker.client.find_id(TOPIC, f"id-{first - 1}").json()["offset"], STORED)


if __name__ == "__main__":
    unittest.main()
