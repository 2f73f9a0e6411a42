#!/usr/bin/env python3
"""One topic that lives long does not keep the whole log on the disk: files of which little is retained are written anew,
and nobody who reads, starts again or joins can tell (docs/decisions/0023; FAULTS 56)."""

import json
import subprocess
import unittest
from pathlib import Path

from cluster import Cluster, binary, wait_until

LONG, SHORT = "orders/all", "readings/all"
BODY = "x" * 400
BATCH = 50
ROUNDS = 500
SEGMENT_BYTES = 1 << 20
KEPT_BATCHES = 4


def weir(*arguments):
    done = subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"weir {arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def rolled_bytes(broker):
    """Of the files of the log, but for the one that is written to."""
    files = sorted(Path(broker.data).glob("gen-*/segment-*.mdb"))
    total = 0
    for path in files[:-1]:
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            pass  # it was just removed
    return total


class Rewriting(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3, start=False)
        for broker in self.cluster:
            broker.extra = ["--segment-bytes", str(SEGMENT_BYTES)]
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.cluster.start_all()
        client = self.cluster.wait_for_leader().client
        settings = {"retention": {"count": BATCH * KEPT_BATCHES}}
        put = client.request("PUT", f"/v1/topics/{SHORT}", json.dumps(settings), {"Content-Type": "application/json"})
        self.assertEqual(put.status, 201, repr(put))
        self.rounds = 0
        self.long = 0

    def publish_round(self):
        """A batch that goes soon; after every twentieth an event that stays."""
        client = self.cluster.wait_for_leader().client
        events = [{"id": f"s-{self.rounds}-{number}", "data": BODY} for number in range(BATCH)]
        answer = client.publish_lines(SHORT, events)
        self.assertEqual(answer.status, 201, repr(answer))
        if self.rounds % 20 == 0:
            answer = client.publish_lines(LONG, [{"id": f"l-{self.long}", "data": {"number": self.long}}])
            self.assertEqual(answer.status, 201, repr(answer))
            self.long += 1
        self.rounds += 1

    def published_bytes(self):
        return self.rounds * BATCH * len(BODY)

    def rewrite(self):
        """Publishes until the disk of every node holds a small part of what was published."""
        while self.rounds < ROUNDS:
            self.publish_round()

        def given_back():
            self.publish_round()
            return all(rolled_bytes(broker) < self.published_bytes() / 3 for broker in self.cluster)

        wait_until(given_back, 60, "the disk is given back", every_s=0.1)
        for broker in self.cluster:
            self.assertGreater(broker.metric("weir_log_files_rewritten_total"), 3)
            self.assertGreater(broker.metric("weir_log_rewritten_bytes_total"), self.published_bytes() / 4)
            self.assertLess(broker.metric("weir_raft_first_index"), SEGMENT_BYTES / BATCH / len(BODY), "hardly any is dropped")

    def position(self):
        return self.rounds * BATCH + self.long

    def check_all_serve_the_same(self):
        self.cluster.wait_for_position(self.position(), bound_s=30)
        for broker in self.cluster:
            events = broker.client.events(LONG)
            self.assertEqual([event["data"]["number"] for event in events], list(range(self.long)), broker.name)
            self.assertEqual([event["offset"] for event in events], list(range(self.long)), broker.name)
        served = {broker.client.read_all(LONG) for broker in self.cluster}
        self.assertEqual(len(served), 1, "the nodes do not serve identical bytes")
        verified = self.cluster.agreed_leader().client.request("POST", "/v1/cluster/verify").json()
        self.assertEqual((len(verified["agree"]), verified["differ"]), (len(self.cluster.brokers), []), repr(verified))
        return served.pop()

    def test_readers_starts_and_new_members_cannot_tell(self):
        self.rewrite()
        before = self.check_all_serve_the_same()

        # Everybody is killed, and goes on with what is on the disk.
        for broker in self.cluster:
            broker.kill()
        for broker in self.cluster:
            checked = weir("storage", "check", "--data", broker.data)
            self.assertIn("whole", checked.splitlines()[-1])
            self.assertIn("HOLLOW", weir("storage", "dump", "--data", broker.data))
        self.cluster.start_all()
        self.cluster.wait_for_leader()
        self.assertTrue(self.check_all_serve_the_same() == before, "other events after a start")

        # Ids go with their events: those that stay are known, those that are gone are not.
        client = self.cluster.follower().client
        again = client.publish_lines(LONG, [{"id": "l-0", "data": {"number": 0}}])
        self.assertEqual((again.status, again.json()["results"][0]["offset"]), (200, 0), repr(again))
        self.assertEqual(client.publish_lines(LONG, [{"id": "l-0", "data": {"number": 1}}]).status, 422)
        anew = client.publish_lines(SHORT, [{"id": "s-0-0", "data": BODY}])
        self.assertEqual((anew.status, anew.json()["results"][0]["offset"]), (201, self.rounds * BATCH), repr(anew))

        # A new member is sent what is left.
        leader = self.cluster.wait_for_leader()
        added = self.cluster.new_broker("n4")
        added.extra = leader.extra
        added.start()
        wait_until(added.status, 20, "n4 answers")
        weir("cluster", "add", "n4", "--server", leader.http_address, "--timeout", "30")
        self.cluster.brokers.append(added)
        self.cluster.wait_for_position(self.position() + 1)
        self.assertGreater(added.metric("weir_snapshots_installed_total"), 0)
        self.assertTrue(added.client.read_all(LONG) == before, "n4 serves other events")
        self.assertLess(rolled_bytes(added), self.published_bytes() / 3)
        weir("cluster", "verify", "--server", leader.http_address)

    def test_a_member_that_was_away_is_helped(self):
        self.publish_round()
        away = self.cluster.follower()
        self.cluster.wait_for_position(self.position())
        away.kill()
        while self.rounds < ROUNDS:
            self.publish_round()
        present = self.cluster.others(away)

        def given_back():
            self.publish_round()
            return all(rolled_bytes(broker) < self.published_bytes() / 3 for broker in present)

        wait_until(given_back, 60, "the disk is given back", every_s=0.1)
        away.start()
        self.check_all_serve_the_same()


if __name__ == "__main__":
    unittest.main()
