#!/usr/bin/env python3
"""A disk without room: publishes are refused with 507 before a write can fail, everything else goes on, and so do
publishes once there is room again; a member whose disk fills does not hold up the others (FAULTS 42).

The disks are small tmpfs mounts in a mount namespace that belongs to the test.
"""

import os
import signal
import subprocess
import unittest
from pathlib import Path

from cluster import Cluster, die_with_parent, wait_until

TOPIC = "readings/all"
MIB = 1 << 20
SEGMENT_BYTES = 4 * MIB
DISK_BYTES = 48 * MIB
BODY = "x" * 8000
BATCH = 25
# Nothing of this size is left for, once the filler has it.
FILLER_BYTES = 24 * MIB


class SmallDisk:
    """A mount that only the processes started through `prefix` see; others reach it as `view`."""

    def __init__(self, at):
        at.mkdir()
        self.at = at
        spaces = ["-m"] if os.geteuid() == 0 else ["-Urm"]
        script = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$0" && echo mounted && exec sleep infinity'
        self.holder = subprocess.Popen(
            ["unshare", *spaces, "sh", "-c", script, str(at)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        self.mounted = self.holder.stdout.readline() == b"mounted\n"
        enter = ["-m"] if os.geteuid() == 0 else ["-U", "-m", "--preserve-credentials"]
        self.prefix = ["nsenter", "-t", str(self.holder.pid), *enter, "--"]
        self.view = Path(f"/proc/{self.holder.pid}/root{at}")

    def fill(self, size):
        (self.view / "filler").write_bytes(bytes(size))

    def free(self):
        (self.view / "filler").unlink()

    def free_bytes(self):
        stat = os.statvfs(self.view)
        return stat.f_bavail * stat.f_frsize

    def close(self):
        self.holder.send_signal(signal.SIGKILL)
        self.holder.wait()
        self.holder.stdout.close()


class FullDisk(unittest.TestCase):
    def start(self, count, small):
        """`count` members, of which those named in `small` have a small disk each."""
        self.cluster = Cluster(count, start=False)
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.disks = {}
        self.stored = 0
        self.refusal = None
        for broker in self.cluster:
            broker.extra = ["--segment-bytes", str(SEGMENT_BYTES)]
            if broker.name in small:
                disk = SmallDisk(self.cluster.folder / f"disk-{broker.name}")
                self.addCleanup(disk.close)
                if not disk.mounted:
                    self.skipTest("this machine does not let a test mount a tmpfs of its own (unshare -m)")
                self.disks[broker.name] = disk
                broker.data = disk.at / broker.name
                broker.prefix = disk.prefix
        self.cluster.start_all()
        self.cluster.wait_for_leader()

    def publish(self, broker):
        """The answer's status. What was refused is sent again by the next call, under the same ids."""
        events = [{"id": f"id-{self.stored + n}", "data": BODY} for n in range(BATCH)]
        answer = broker.client.publish_lines(TOPIC, events)
        if answer.status in (200, 201):
            self.assertEqual([one["offset"] for one in answer.json()["results"]], [self.stored + n for n in range(BATCH)])
            self.stored += BATCH
        else:
            self.refusal = answer.json()
        return answer.status

    def publish_until(self, status, broker, bound=2000):
        for _ in range(bound):
            found = self.publish(broker)
            if found == status:
                return
            self.assertIn(found, (200, 201, 503, 504, 507), self.refusal)
        self.fail(f"{bound} batches and none was answered {status}")

    def check_serves_all(self, broker):
        next_offset = int(broker.client.request("HEAD", f"/v1/events/{TOPIC}").headers["weir-next"])
        self.assertIn(next_offset, (self.stored, self.stored + BATCH))  # more, if the last answer was "unknown"
        for offset in (0, self.stored // 2, self.stored - 1):
            answer = broker.client.get(f"/v1/events/{TOPIC}?from={offset}&limit=1")
            self.assertEqual((answer.status, answer.json()["id"]), (200, f"id-{offset}"), repr(answer))

    def check_refuses_and_serves(self, broker):
        self.assertEqual(self.refusal["type"], "urn:weir:problem:disk-full")
        self.assertIn("nothing was stored", self.refusal["detail"])
        self.check_serves_all(broker)
        self.assertEqual(broker.client.get("/healthz").status, 200)

    def test_publishes_are_refused_and_taken_again_once_there_is_room(self):
        self.start(1, ["n1"])
        alone, disk = self.cluster.brokers[0], self.disks["n1"]
        disk.fill(FILLER_BYTES)
        self.publish_until(507, alone)
        self.check_refuses_and_serves(alone)
        # It stays so, whatever is tried; and a start changes nothing about it.
        for _ in range(20):
            self.assertEqual(self.publish(alone), 507)
        wait_until(lambda: "writes are refused until there is" in alone.log_text(), 10, "it says so in its log")
        alone.restart()
        self.cluster.wait_for_leader()
        wait_until(lambda: self.publish(alone) == 507, 30, "refused after a start as well")
        self.check_refuses_and_serves(alone)
        disk.free()
        wait_until(lambda: self.publish(alone) in (200, 201), 30, "publishing goes on by itself once there is room")
        self.publish_until(507, alone)
        self.check_refuses_and_serves(alone)

    def test_a_leader_whose_disk_fills_hands_over(self):
        self.start(3, ["n1", "n2", "n3"])
        leader = self.cluster.wait_for_leader()
        others = self.cluster.others(leader)
        disk = self.disks[leader.name]
        disk.fill(disk.free_bytes() - 3 * SEGMENT_BYTES)
        wait_until(
            lambda: self.publish(others[0]) in (200, 201) and self.cluster.agreed_leader() in others,
            60,
            lambda: f"another leads, and writes are taken: {self.refusal}",
        )
        self.publish_until(507, leader)  # which takes none itself
        self.assertIn(self.publish(others[0]), (200, 201))
        disk.free()
        self.cluster.wait_for_position(self.stored)
        for broker in self.cluster:
            self.check_serves_all(broker)

    def test_a_member_whose_disk_fills_holds_up_nobody_and_comes_back(self):
        self.start(3, ["n1", "n2", "n3"])
        full = self.cluster.follower()
        others = self.cluster.others(full)
        disk = self.disks[full.name]
        disk.fill(disk.free_bytes() - 3 * SEGMENT_BYTES)
        # More than it has room for, with the file in use and the next one, and less than the others have.
        while self.stored * len(BODY) < 7 * SEGMENT_BYTES:
            self.assertEqual(self.publish(self.cluster.wait_for_leader(others)), 201, self.refusal)
        for broker in others:
            wait_until(lambda: (broker.status() or {}).get("position") == self.stored, 30, f"{broker.name} has all")
            self.check_serves_all(broker)
        # It stays up, serves what it has, and takes no writes for others to decide.
        behind = wait_until(full.status, 10, "it answers")["position"]
        self.assertLess(behind, self.stored)
        last = full.client.get(f"/v1/events/{TOPIC}?from={behind - 1}&limit=1")
        self.assertEqual((last.status, last.json()["id"]), (200, f"id-{behind - 1}"), repr(last))
        self.assertEqual(self.publish(full), 507)
        disk.free()
        self.cluster.wait_for_position(self.stored)
        for broker in self.cluster:
            self.check_serves_all(broker)


if __name__ == "__main__":
    unittest.main(verbosity=2)
