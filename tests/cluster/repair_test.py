#!/usr/bin/env python3
"""A node whose data is damaged serves nothing of it, votes with nothing of it, and gets everything back from the others;
one that has nobody to get it from says what to do (FAULTS 44, 45)."""

import shutil
import unittest

from broker_client import Unreachable
from cluster import TIME_FACTOR, Cluster, wait_until
from workload import publish_numbered

TOPIC = "readings/all"
BATCH = 200
BODY = "x" * 400
SEGMENT_BYTES = 256 << 10
HEALED_BOUND_S = 60


def generation(broker):
    return broker.data / (broker.data / "CURRENT").read_text().strip()


def files(broker, pattern):
    return sorted(generation(broker).glob(pattern))


def flip(path, at):
    """One bit of the file."""
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def rot(path):
    """One bit in the middle of a body that the file holds."""
    found = path.read_bytes().find(BODY.encode())
    assert found > 0, f"{path} holds no event"
    flip(path, found + len(BODY) // 2)


def active(broker):
    """The file that is written to."""
    return files(broker, "segment-*.mdb")[-1]


class Repair(unittest.TestCase):
    def setUp(self):
        self.stored = 0

    def cluster_of(self, count, *extra):
        cluster = Cluster(count, start=False)
        for broker in cluster:
            broker.extra = ["--segment-bytes", str(SEGMENT_BYTES), *extra]
        cluster.__enter__()
        self.addCleanup(cluster.__exit__, None, None, None)
        cluster.start_all()
        cluster.wait_for_leader()
        return cluster

    def publish(self, broker, batches):
        self.stored = publish_numbered(broker, TOPIC, BODY, self.stored, batches, BATCH)

    def fill(self, cluster):
        """Some files of the log that have rolled and have their seals, and a checkpoint, on every node."""
        self.publish(cluster.wait_for_leader(), 15)
        cluster.wait_for_position(self.stored)

        def ready():
            return all(len(files(broker, "*.seal")) >= 3 and files(broker, "checkpoint-*.wck") for broker in cluster)

        wait_until(ready, 30, "files with seals and checkpoints on every node")

    def healed(self, cluster, broker):
        """It is a voter with all events, and what was damaged is gone."""
        state = broker.status()
        if not state or state["position"] < self.stored or (broker.data / "DAMAGED").exists():
            return False
        if len(list(broker.data.glob("gen-*"))) != 1:
            return False
        own = next((member for member in state["members"] if member["node"] == broker.name), None)
        return own is not None and own["role"] != "learner"

    def check_healed(self, cluster, broker):
        wait_until(
            lambda: self.healed(cluster, broker),
            HEALED_BOUND_S,
            lambda: f"{broker.name} is whole again: {broker.status()}; {broker.log_text()[-2000:]}",
        )
        served = {each.client.read_all(TOPIC) for each in cluster}
        self.assertEqual(len(served), 1, "the nodes do not serve identical bytes")
        self.assertEqual(len(served.pop().splitlines()), self.stored)
        known = broker.client.publish_lines(TOPIC, [{"id": "id-1", "data": BODY}])
        self.assertEqual((known.status, known.json()["duplicates"]), (200, 1), repr(known))
        agreed = cluster.wait_for_leader().client.request("POST", "/v1/cluster/verify")
        self.assertEqual((agreed.status, len(agreed.json()["agree"])), (200, len(cluster.brokers)), repr(agreed))

    def damage_while_down(self, hurt):
        cluster = self.cluster_of(3)
        self.fill(cluster)
        broker = cluster.follower()
        broker.kill()
        hurt(broker)
        broker.start()
        # The others go on meanwhile.
        self.publish(cluster.wait_for_leader(cluster.others(broker)), 1)
        wait_until(lambda: "DAMAGED" in broker.log_text(), 20, "it says what is wrong")
        self.check_healed(cluster, broker)

    def test_a_bit_flipped_in_the_file_that_is_written_to(self):
        self.damage_while_down(lambda broker: rot(active(broker)))

    def test_a_bit_flipped_in_a_checkpoint(self):
        self.damage_while_down(lambda broker: flip(files(broker, "checkpoint-*.wck")[0], 200))

    def test_a_bit_flipped_in_the_state(self):
        # A bit of either meta page's number of the newest transaction.
        self.damage_while_down(lambda broker: flip(files(broker, "state.mdb")[0], 144))

    def test_a_file_of_the_log_is_cut(self):
        def cut(broker):
            path = files(broker, "segment-*.mdb")[1]
            with open(path, "r+b") as file:
                file.truncate(path.stat().st_size // 2)

        self.damage_while_down(cut)

    def test_a_file_of_the_log_is_lost(self):
        self.damage_while_down(lambda broker: files(broker, "segment-*.mdb")[1].unlink())

    def test_a_bit_flipped_in_a_file_with_a_seal_is_found_when_it_is_read(self):
        cluster = self.cluster_of(3, "--scrub-bytes-per-s", "off")
        self.fill(cluster)
        broker = cluster.follower()
        broker.kill()
        path = files(broker, "segment-*.mdb")[0]
        rot(path)
        broker.start()
        cluster.wait_for_position(self.stored)
        # Its seal says that it was verified, so the node started with it. What it holds is never served.
        try:
            answer = broker.client.get(f"/v1/events/{TOPIC}?from=0&limit=1")
            self.assertEqual(answer.status, 503, repr(answer))
        except Unreachable:
            pass
        wait_until(lambda: "DAMAGED" in broker.log_text(), 20, "it says what is wrong")
        self.check_healed(cluster, broker)

    def test_the_scrub_finds_it_in_a_running_node_and_the_node_heals(self):
        cluster = self.cluster_of(3, "--scrub-bytes-per-s", "100MiB", "--scrub-pause-ms", "50")
        self.fill(cluster)
        broker = cluster.wait_for_leader()
        wait_until(lambda: broker.metric("weir_scrub_passes_total") > 0, 30, "a pass over everything")
        self.assertGreater(broker.metric("weir_scrub_bytes_total"), SEGMENT_BYTES)
        path = files(broker, "segment-*.mdb")[0]
        rot(path)
        wait_until(lambda: "DAMAGED" in broker.log_text(), 30, "the leader notices")
        self.publish(cluster.wait_for_leader(cluster.others(broker)), 1)
        self.check_healed(cluster, broker)
        self.assertTrue(broker.running(), "in the same process")

    def test_two_damaged_of_three_found_no_new_cluster_and_nothing_is_removed(self):
        cluster = self.cluster_of(3)
        self.fill(cluster)
        whole = cluster.follower()
        damaged = cluster.others(whole)
        for broker in cluster:
            broker.kill()
        kept = {}
        whole_content = {}
        for broker in damaged:
            path = active(broker)
            whole_content[broker.name] = path.read_bytes()
            rot(path)
            kept[broker.name] = (path, path.read_bytes())
        cluster.start_all()
        wait_until(whole.status, 20, "the one in order answers")
        for broker in damaged:
            wait_until(lambda broker=broker: "DAMAGED" in broker.log_text(), 20, f"{broker.name} says what is wrong")
        answer = whole.client.publish(TOPIC, "late", "late", timeout="1s")
        self.assertEqual(answer.status, 503, "two of three cannot vote")
        for broker in damaged:
            ready = broker.client.get("/readyz")
            self.assertEqual(ready.status, 503, repr(ready))
            self.assertIn("damaged", ready.body.decode())
            path, content = kept[broker.name]
            self.assertEqual(path.read_bytes(), content, "what was damaged is still there, byte for byte")
        # With the bits put back by hand the cluster goes on: nobody has voted, nothing was founded.
        for broker in damaged:
            broker.kill()
            path, _ = kept[broker.name]
            path.write_bytes(whole_content[broker.name])
            (broker.data / "DAMAGED").unlink()
            shutil.rmtree(generation(broker))
            (broker.data / "CURRENT").write_text(path.parent.name + "\n")
            broker.start()
        cluster.wait_for_leader()
        cluster.wait_for_position(self.stored)

    def test_a_node_alone_does_not_begin_anew(self):
        cluster = self.cluster_of(1)
        self.fill(cluster)
        broker = cluster.brokers[0]
        broker.kill()
        path = active(broker)
        rot(path)
        broker.start()
        broker.stopped_by_us = True
        self.assertEqual(broker.process.wait(20 * TIME_FACTOR), 2)
        self.assertIn(path.name, broker.log_text())
        self.assertIn("restore a backup", broker.log_text())
        self.assertEqual(len(list(broker.data.glob("gen-*"))), 1)

    def test_a_node_that_must_not_begin_anew_stops(self):
        cluster = self.cluster_of(3, "--if-damaged", "stop")
        self.fill(cluster)
        broker = cluster.follower()
        broker.kill()
        rot(active(broker))
        broker.start()
        broker.stopped_by_us = True
        self.assertEqual(broker.process.wait(20 * TIME_FACTOR), 2)
        self.publish(cluster.wait_for_leader(cluster.others(broker)), 1)


if __name__ == "__main__":
    unittest.main()
