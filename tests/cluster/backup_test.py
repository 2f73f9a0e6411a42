#!/usr/bin/env python3
"""A backup is taken while a cluster works, and another cluster begins with it; of a cluster that lost its majority one
node goes on alone (FAULTS 25, 27)."""

import json
import os
import struct
import subprocess
import unittest

from cluster import TIME_FACTOR, Cluster, binary, wait_until
from workload import Publisher, publish_numbered

TOPIC = "readings/all"
BATCH = 500
BODY = "x" * 400
SEGMENT_BYTES = 256 << 10


def weir(*words, code=0, stdin=subprocess.DEVNULL):
    """Runs a verb; returns what it said, stdout first."""
    ran = subprocess.run(
        [binary(), *map(str, words)], stdin=stdin, capture_output=True, text=True, timeout=60 * TIME_FACTOR
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == code, f"weir {' '.join(map(str, words))}: exit {ran.returncode}, not {code}: {said}"
    return said


def digest(said, line):
    return next(each for each in said.splitlines() if each.startswith(line)).split("digest ")[1]


def kinds_of_frames(content):
    """As wire/README.md has it."""
    kinds, at = [], 8
    while at < len(content):
        size, kind = struct.unpack_from("<II", content, at)
        kinds.append(kind)
        at += 16 + size
    return kinds


class Backup(unittest.TestCase):
    def setUp(self):
        self.stored = 0

    def cluster_of(self, count, *extra):
        cluster = Cluster(count, start=False)
        for broker in cluster:
            broker.extra = list(extra)
        cluster.__enter__()
        self.addCleanup(cluster.__exit__, None, None, None)
        return cluster

    def started(self, *extra):
        cluster = self.cluster_of(3, *extra)
        cluster.start_all()
        cluster.wait_for_leader()
        return cluster

    def publish(self, broker, batches):
        self.stored = publish_numbered(broker, TOPIC, BODY, self.stored, batches, BATCH)

    def take(self, broker, path):
        said = weir("backup", path, "--server", broker.http_address, "-o", "json")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertFalse(os.path.exists(f"{path}.part"))
        return json.loads(said)

    def check_ids_are_known(self, broker, count):
        for number in (0, count // 2, count - 1):
            answer = broker.client.publish(TOPIC, json.dumps(BODY), f"id-{number}", "application/json")
            self.assertEqual((answer.status, answer.json()["offset"]), (200, number), repr(answer))

    def check_cursor_is_refused(self, broker, cursor):
        answer = broker.client.get(f"/v1/events/{TOPIC}?from=after:{cursor}")
        self.assertEqual(answer.status, 410, repr(answer))
        problem = answer.json()
        self.assertEqual(problem["type"], "urn:weir:problem:epoch-changed")
        self.assertIn("earliest", problem)

    def check_members_can_be_added(self, cluster, leader, names):
        for name in names:
            added = cluster.new_broker(name)
            added.extra = leader.extra
            added.start()
            wait_until(lambda: added.status(), 20, f"{name} answers")
            weir("cluster", "add", name, "--server", leader.http_address, "--timeout", "30")
            cluster.brokers.append(added)
        said = weir("cluster", "verify", "--server", leader.http_address)
        self.assertEqual(said.splitlines()[0].split(" agree at ")[0].split(), [leader.name, *names], said)
        cluster.wait_for_position(leader.status()["position"])
        expected = leader.client.read_all(TOPIC)
        for name in names:
            self.assertTrue(cluster[name].client.read_all(TOPIC) == expected, f"{name} serves other events")
            self.assertEqual(cluster[name].status()["epoch"], leader.status()["epoch"])

    def restore_and_check(self, *extra, batches, members):
        cluster = self.started(*extra)
        self.publish(cluster.wait_for_leader(), batches)
        source = cluster.follower()
        load = Publisher([broker.http_port for broker in cluster], "load/events")
        load.start()
        wait_until(lambda: load.acked, 20, "the load is under way")
        acknowledged = dict(load.acked)
        before = cluster.wait_for_leader().client.read_all(TOPIC)
        cursor = source.client.pull(TOPIC, limit=1).headers["weir-cursor"]
        path = cluster.folder / "copy.backup"
        copied = self.take(source, path)
        self.assertEqual(2 in kinds_of_frames(path.read_bytes()), bool(extra), "a snapshot is what many files make")
        load.stop()
        self.publish(cluster.wait_for_leader(), 1)
        cluster.wait_for_position(self.stored)
        load_after = source.client.read_all("load/events")
        for broker in cluster:
            broker.kill()

        restored = self.cluster_of(1, *extra)
        node = restored["n1"]
        said = weir("restore", path, "--data", node.data, "--node", "n1")
        self.assertIn(f"digest {copied['digest']}", said)
        self.assertIn(f"position {copied['position']}, {copied['events']} events", said)
        node.start()
        restored.wait_for_leader()
        restored.wait_for_position(copied["position"])
        self.assertEqual(node.status()["position"], copied["position"])
        self.assertNotIn(node.status()["epoch"], (copied["epoch"], ""))
        wait_until(lambda: node.status()["members"][0]["http"] == node.http_address, 20, "it says where it is reached")
        self.assertTrue(node.client.read_all(TOPIC) == before, "other events than before")
        load = node.client.read_all("load/events")
        self.assertTrue(load_after.startswith(load), "what was published meanwhile is no beginning of it")
        here = {json.loads(line)["id"] for line in load.splitlines()}
        self.assertLessEqual(set(acknowledged), here, "acknowledged before the backup, and not in it")
        self.stored -= BATCH
        self.check_ids_are_known(node, self.stored)
        self.check_cursor_is_refused(node, cursor)
        self.publish(node, 1)
        self.check_members_can_be_added(restored, node, members)
        return restored, node

    def test_a_small_log_is_copied_and_restored(self):
        self.restore_and_check(batches=2, members=["n2", "n3"])

    def test_a_log_of_many_files_is_copied_and_restored_and_lives_on(self):
        extra = ["--segment-bytes", str(SEGMENT_BYTES)]
        restored, node = self.restore_and_check(*extra, batches=8, members=["n2", "n3"])
        epoch = node.status()["epoch"]
        for broker in restored:
            broker.restart()
        leader = restored.wait_for_leader()
        self.assertEqual(leader.status()["epoch"], epoch)
        self.publish(leader, 4)
        restored.wait_for_position(leader.status()["position"])

        # One more joins when nothing of the first life is in the log any more.
        for broker in restored:
            broker.extra = [*extra, "--retention-count", str(BATCH)]
            broker.restart()
        leader = restored.wait_for_leader()

        def dropped():
            self.publish(restored.wait_for_leader(), 1)
            return all(broker.metric("weir_raft_first_index") > 1 for broker in restored)

        wait_until(dropped, 60, "the front of the log is dropped")
        leader = restored.wait_for_leader()
        added = restored.new_broker("n4")
        added.extra = leader.extra
        added.start()
        wait_until(added.status, 20, "n4 answers")
        weir("cluster", "add", "n4", "--server", leader.http_address, "--timeout", "30")
        restored.brokers.append(added)
        restored.wait_for_position(leader.status()["position"])
        self.assertEqual(added.status()["epoch"], epoch)
        self.assertGreater(added.metric("weir_snapshots_installed_total"), 0)
        weir("cluster", "verify", "--server", leader.http_address)

    def test_what_is_no_whole_backup_restores_nothing(self):
        cluster = self.started()
        self.publish(cluster.wait_for_leader(), 1)
        path = cluster.folder / "copy.backup"
        self.take(cluster.follower(), path)
        said = weir("backup", path, "--server", cluster["n1"].http_address, code=1)
        self.assertIn("exists already", said)
        whole = path.read_bytes()
        folder = cluster.folder / "restored"
        for name, content, words in (
            ("cut", whole[:-1], "cut off"),
            ("short", whole[: len(whole) // 2], "cut off"),
            ("changed", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], "checksum"),
            ("other", b"something else", "does not begin like one"),
        ):
            (cluster.folder / name).write_bytes(content)
            self.assertIn(words, weir("restore", cluster.folder / name, "--data", folder, code=1))
            self.assertEqual([each.name for each in folder.iterdir()], ["LOCK"], f"{name} left something")
        weir("restore", path, "--data", folder)
        self.assertIn("is not empty", weir("restore", path, "--data", folder, code=2))

    def test_one_of_three_goes_on_alone(self):
        cluster = self.started()
        self.publish(cluster.wait_for_leader(), 2)
        cluster.wait_for_position(self.stored)
        node, lost, other = cluster["n2"], cluster["n1"], cluster["n3"]
        expected = node.client.read_all(TOPIC)
        cursor = node.client.pull(TOPIC, limit=1).headers["weir-cursor"]
        self.assertIn("in use", weir("recover", "--data", node.data, code=2))
        for broker in cluster:
            broker.kill()
        found = weir("recover", "--data", node.data, code=1)
        self.assertIn("--yes", found)
        said = weir("recover", "--data", node.data, "--yes")
        self.assertEqual(digest(said, "before:"), digest(found, "found:"))

        node.start()
        cluster.wait_for_leader([node])
        self.assertTrue(node.client.read_all(TOPIC) == expected, "other events than before")
        self.check_ids_are_known(node, self.stored)
        self.check_cursor_is_refused(node, cursor)
        self.publish(node, 1)
        # One of the old cluster that comes back is a stranger; only empty it may join.
        lost.start()
        wait_until(lambda: "another cluster" in lost.log_text(), 20, "n1 is told that it is of another cluster")
        self.publish(node, 1)
        lost.kill()
        lost.wipe()
        cluster.brokers[:] = [node]
        for broker in (lost, other):
            broker.data = cluster.folder / f"{broker.name}-new"
        self.check_members_can_be_added(cluster, node, ["n4", "n5"])


if __name__ == "__main__":
    unittest.main()
