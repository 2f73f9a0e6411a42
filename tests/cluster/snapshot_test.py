#!/usr/bin/env python3
"""A node that was away while the others dropped what it has not got is helped by a snapshot; what is kept on disk has a
bound; a start reads checkpoints instead of applying everything again (FAULTS 26, 27, 56)."""

import json
import os
import unittest

from cluster import Cluster, wait_until
from workload import publish_numbered

TOPIC = "readings/all"
BATCH = 500
BODY = "x" * 400
KEPT_BYTES = 1 << 20
SEGMENT_BYTES = 256 << 10


def bytes_on_disk(path):
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                pass  # it was just removed
    return total


class Snapshot(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3, start=False)
        for broker in self.cluster:
            broker.extra = ["--segment-bytes", str(SEGMENT_BYTES), "--retention-bytes", str(KEPT_BYTES)]
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.cluster.start_all()
        self.cluster.wait_for_leader()
        self.stored = 0

    def publish(self, broker, batches):
        self.stored = publish_numbered(broker, TOPIC, BODY, self.stored, batches, BATCH)

    def first_offset(self, broker):
        return int(broker.client.request("HEAD", f"/v1/events/{TOPIC}").headers["weir-first"])

    def wait_until_dropped(self, brokers, index):
        """Publishes on, because floors and files follow what is published."""

        def dropped():
            self.publish(self.cluster.wait_for_leader(brokers), 1)
            return all(broker.metric("weir_raft_first_index") > index for broker in brokers)

        wait_until(dropped, 60, f"the log begins behind entry {index} on {[broker.name for broker in brokers]}")

    def served_by(self, broker, first):
        """Everything from there on; None once retention has taken some of it."""
        parts = []
        for offset in range(first, self.stored, BATCH):
            answer = broker.client.get(f"/v1/events/{TOPIC}?from={offset}&limit={BATCH}")
            if answer.status == 410:
                return None
            self.assertEqual(answer.status, 200, repr(answer))
            parts.append(answer.body)
        return b"".join(parts)

    def check_all_serve_the_same(self):
        self.cluster.wait_for_position(self.stored, bound_s=30)
        served = {}

        def all_served():
            """The leader may still raise the floor: then it is read once more."""
            floors = {self.first_offset(broker) for broker in self.cluster}
            served.update({broker.name: self.served_by(broker, max(floors)) for broker in self.cluster})
            return None not in served.values()

        wait_until(all_served, 30, "all nodes serve everything from one offset on")
        self.assertEqual(len(set(served.values())), 1, "the nodes do not serve identical bytes")
        for broker in self.cluster:
            known = broker.client.publish_lines(TOPIC, [{"id": f"id-{self.stored - 1}", "data": BODY}])
            self.assertEqual((known.status, known.json()["duplicates"]), (200, 1), repr(known))

    def test_a_node_behind_what_was_dropped_gets_a_snapshot(self):
        away = self.cluster.follower()
        present = self.cluster.others(away)
        self.publish(present[0], 1)
        self.cluster.wait_for_position(self.stored)
        last = away.metric("weir_raft_last_index")
        away.kill()
        self.publish(self.cluster.wait_for_leader(present), 12)
        self.wait_until_dropped(present, last + 1)  # from the next one on it could go on
        away.start()
        self.check_all_serve_the_same()
        self.assertEqual(away.metric("weir_snapshots_installed_total"), 1)
        # And once more from its own disk, as it is after a kill.
        away.kill()
        away.start()
        self.check_all_serve_the_same()
        self.assertEqual(away.metric("weir_snapshots_installed_total"), 0, "since its last start")

    def test_settings_of_topics_and_removals_come_with_a_snapshot(self):
        away = self.cluster.follower()
        present = self.cluster.others(away)
        lines = [{"id": f"id-{number}", "data": number} for number in range(3)]
        self.assertEqual(present[0].client.publish_lines("gone", lines).status, 201)
        self.cluster.wait_for_position(3)
        last = away.metric("weir_raft_last_index")
        away.kill()
        client = self.cluster.wait_for_leader(present).client
        settings = {"retention": {"age": "7d", "bytes": "off", "count": None}, "dedup": "12h"}
        put = client.request("PUT", "/v1/topics/kept", json.dumps(settings), {"Content-Type": "application/json"})
        self.assertEqual(put.status, 201, repr(put))
        self.assertEqual(client.request("DELETE", "/v1/topics/gone").status, 200)
        self.publish(self.cluster.wait_for_leader(present), 12)
        self.wait_until_dropped(present, last + 1)  # from the next one on it could go on
        away.start()
        self.cluster.wait_for_position(self.stored + len(lines), bound_s=30)

        def is_told():
            return away.client.get("/v1/topics/kept").json().get("settings") == settings

        wait_until(is_told, 30, f"{away.name} has the settings")
        self.assertEqual(away.metric("weir_snapshots_installed_total"), 1)
        self.assertEqual(away.client.get("/v1/topics/gone").status, 404)
        back = away.client.publish_lines("gone", lines[:1])
        self.assertEqual((back.status, back.json()["results"][0]["offset"]), (201, 3), repr(back))
        verified = self.cluster.agreed_leader().client.request("POST", "/v1/cluster/verify").json()
        self.assertEqual((len(verified["agree"]), verified["differ"]), (3, []), repr(verified))

    def test_the_disk_is_bounded_and_a_start_applies_what_is_new(self):
        leader = self.cluster.wait_for_leader()
        self.publish(leader, 20)
        self.wait_until_dropped(list(self.cluster), 1)
        self.publish(leader, 20)
        # What is retained, what is dropped a little later, a file that is prepared; state.mdb; and the file in use, which
        # takes space in steps of 8 MiB.
        bound = KEPT_BYTES + 12 * SEGMENT_BYTES + (4 << 20) + (8 << 20)
        for broker in self.cluster:
            wait_until(
                lambda: bytes_on_disk(broker.data) < bound,
                20,
                lambda: f"{broker.name} keeps less than {bound} bytes, it has {bytes_on_disk(broker.data)}",
            )
        for broker in self.cluster:
            broker.kill()
        self.cluster.start_all()
        self.cluster.wait_for_leader()
        self.check_all_serve_the_same()
        for broker in self.cluster:
            self.assertGreater(broker.metric("weir_raft_first_index"), 1)


if __name__ == "__main__":
    unittest.main()
