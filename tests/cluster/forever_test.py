#!/usr/bin/env python3
"""Ids of a topic with dedup=forever outlive their events: through every kill, in a snapshot and in a copy, although the
part of the log that they came with is gone (FAULTS 27, 62)."""

import json
import subprocess
import unittest

from cluster import TIME_FACTOR, Cluster, binary, wait_until

TOPIC = "payments"
BATCH = 200
#  Small files: checkpoints are taken often, and the log's front goes soon. A claim would keep it without an age.
EXTRA = ["--segment-bytes", str(256 << 10), "--retention-age", "1s"]
SETTINGS = {"dedup": "forever", "retention": {"count": 100}}


def weir(*words):
    ran = subprocess.run(
        [binary(), *map(str, words)], capture_output=True, text=True, timeout=60 * TIME_FACTOR, check=False
    )
    assert ran.returncode == 0, f"weir {' '.join(map(str, words))}: exit {ran.returncode}: {ran.stdout}{ran.stderr}"
    return ran.stdout


class Forever(unittest.TestCase):
    def cluster_of(self, count):
        cluster = Cluster(count, start=False)
        for broker in cluster:
            broker.extra = EXTRA
        cluster.__enter__()
        self.addCleanup(cluster.__exit__, None, None, None)
        return cluster

    def setUp(self):
        self.cluster = self.cluster_of(3)
        self.cluster.start_all()
        self.cluster.wait_for_leader()
        headers = {"Content-Type": "application/json"}
        path = f"/v1/topics/{TOPIC}"
        created = self.cluster.follower().client.request("PUT", path, json.dumps(SETTINGS), headers)
        self.assertEqual((created.status, created.json()["settings"]["dedup"]), (201, "forever"), repr(created))
        self.results = []  # of each batch, in order

    @staticmethod
    def batch(number):
        return [{"id": f"id-{number}-{n}", "data": f"{number} {n} " + "x" * 100} for n in range(BATCH)]

    def publish_batch(self):
        answer = self.cluster.follower().client.publish_lines(TOPIC, self.batch(len(self.results)))
        self.assertEqual((answer.status, answer.json()["stored"]), (201, BATCH), repr(answer))
        self.results.append(answer.json()["results"])

    def claim(self):
        claimed = self.cluster.follower().client.request("PUT", f"/v1/ids/{TOPIC}?id=claim")
        self.assertEqual(claimed.status, 201, repr(claimed))

    def publish_until_the_log_has_lost_what_it_has(self):
        last = self.cluster.wait_for_leader().metric("weir_raft_last_index")

        def lost():
            self.publish_batch()
            return all(broker.metric("weir_raft_first_index") > last for broker in self.cluster)

        wait_until(lost, 90, f"every node has dropped entry {last} and all before it")

    def wait_for_ids(self, brokers):
        count = len(self.results) * BATCH + 1
        for broker in brokers:
            wait_until(lambda broker=broker: broker.metric("weir_forever_ids") == count, 20, f"{count} on {broker.name}")

    def check_known(self, client):
        """Each event that was ever stored, all but the last of them gone."""
        for number in range(0, len(self.results), 3):
            answer = client.publish_lines(TOPIC, self.batch(number))
            self.assertEqual((answer.status, answer.json()["duplicates"]), (200, BATCH), repr(answer))
            originals = [{**result, "duplicate": True} for result in self.results[number]]
            self.assertEqual(answer.json()["results"], originals, "the places of the originals")
        changed = [{**self.batch(0)[7], "data": "something else"}]
        answer = client.publish_lines(TOPIC, changed)
        self.assertEqual((answer.status, answer.json()["offset"]), (422, 7), repr(answer))
        found = client.find_id(TOPIC, "id-0-7")
        self.assertEqual((found.status, found.json()["state"], found.json()["offset"]), (200, "published", 7))
        self.assertEqual(client.find_id(TOPIC, "claim").json()["state"], "claimed")
        self.assertEqual(client.publish(TOPIC, "x", "claim").status, 409)
        self.assertEqual(client.request("PUT", f"/v1/ids/{TOPIC}?id=id-0-7").status, 200, "published before")

    def verify(self, cluster):
        answer = cluster.wait_for_leader().client.request("POST", "/v1/cluster/verify")
        self.assertEqual((answer.status, answer.json()["differ"]), (200, []), repr(answer))

    def test_they_are_known_when_events_log_and_processes_are_gone(self):
        self.publish_batch()
        self.claim()
        self.publish_until_the_log_has_lost_what_it_has()
        self.wait_for_ids(self.cluster)
        self.check_known(self.cluster.follower().client)

        for broker in self.cluster:
            broker.kill()
        for broker in self.cluster:
            self.assertIn("whole", weir("storage", "check", "--data", broker.data))
        self.cluster.start_all()
        self.cluster.wait_for_leader()
        for broker in self.cluster:
            self.check_known(broker.client)
        self.wait_for_ids(self.cluster)
        self.verify(self.cluster)

        wiped = self.cluster.follower()
        wiped.kill()
        wiped.wipe()
        wiped.start()
        wait_until(wiped.status, 20, "it answers")
        wait_until(lambda: wiped.metric("weir_snapshots_installed_total") > 0, 60, "it is sent a snapshot")
        self.wait_for_ids([wiped])
        self.publish_until_the_log_has_lost_what_it_has()
        self.check_known(wiped.client)
        self.verify(self.cluster)

    def test_a_copy_has_them(self):
        self.publish_batch()
        self.claim()
        self.publish_until_the_log_has_lost_what_it_has()
        path = self.cluster.folder / "copy.backup"
        weir("backup", path, "--server", self.cluster.follower().http_address)
        for broker in self.cluster:
            broker.kill()
        restored = self.cluster_of(1)
        node = restored["n1"]
        said = weir("restore", path, "--data", node.data, "--node", "n1")
        self.assertIn(f"{len(self.results) * BATCH + 1} ids forever", said)
        node.start()
        restored.wait_for_leader()
        self.check_known(node.client)


if __name__ == "__main__":
    unittest.main(verbosity=2)
