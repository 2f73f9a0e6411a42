#!/usr/bin/env python3
"""Nodes that do not answer for a while: a minority serves no writes, a frozen leader comes back as a follower."""

import threading
import unittest

from broker_client import BrokerClient, Unreachable
from cluster import TIME_FACTOR, Cluster, wait_until
from workload import Publisher, check_stored_once

TOPIC = "orders/new"


class Partition(unittest.TestCase):
    def test_a_minority_serves_no_writes_and_heals(self):  # FAULTS 9
        with Cluster(3) as cluster:
            leader = cluster.wait_for_leader()
            self.assertEqual(leader.client.publish(TOPIC, "before", "before").status, 201)
            cluster.wait_for_position(1)
            followers = cluster.others(leader)
            for broker in followers:
                broker.freeze()
            # At once it may have been appended (504: unknown); once it has stepped down, refused (503).
            first = leader.client.publish(TOPIC, "during", "during", **{"timeout": "1s"})
            self.assertIn(first.status, (503, 504), repr(first))
            wait_until(lambda: leader.status()["role"] != "leader", 5, "a leader without a majority steps down")
            second = leader.client.publish(TOPIC, "later", "later", **{"timeout": "500ms"})
            self.assertEqual((second.status, second.json()["type"]), (503, "urn:weir:problem:no-leader"), repr(second))
            self.assertTrue(second.json()["safe_to_retry"])
            self.assertIn("retry-after", second.headers)
            self.assertEqual([event["id"] for event in leader.client.events(TOPIC)], ["before"])
            self.assertEqual(leader.client.get("/healthz").status, 200)
            self.assertEqual(leader.client.get("/readyz").status, 503)

            for broker in followers:
                broker.thaw()
            cluster.wait_for_leader()
            for event_id in ("during", "later", "during", "later"):
                self.assertIn(leader.client.publish(TOPIC, event_id, event_id).status, (200, 201))
            events = leader.client.events(TOPIC)
            self.assertEqual(sorted(event["id"] for event in events), ["before", "during", "later"])
            cluster.wait_for_position(3)
            self.assertEqual(len({broker.client.read_all(TOPIC) for broker in cluster}), 1)

    def test_a_linear_read_is_not_answered_by_a_minority(self):  # FAULTS 9, 16
        with Cluster(3) as cluster:
            leader = cluster.wait_for_leader()
            self.assertEqual(leader.client.publish(TOPIC, "x", "known").status, 201)
            self.assertEqual(leader.client.find_id(TOPIC, "known").status, 200)
            for broker in cluster.others(leader):
                broker.freeze()
            answer = leader.client.get(f"/v1/ids/{TOPIC}?id=known&timeout=1s", timeout=15)
            self.assertIn(answer.status, (503, 504), repr(answer))
            answer = leader.client.pull(TOPIC, consistency="linear", timeout="1s")
            self.assertIn(answer.status, (503, 504), repr(answer))

    def test_a_node_alone_after_a_restart_denies_nothing(self):  # FAULTS 19
        """It cannot know yet what is committed of its log: what it has not applied may exist all the same."""
        with Cluster(3) as cluster:
            leader = cluster.wait_for_leader()
            self.assertEqual(leader.client.publish(TOPIC, "x", "known").status, 201)
            for broker in cluster:
                broker.kill()
            leader.start()
            wait_until(leader.status, 15, "it serves")
            for path in (f"/v1/events/{TOPIC}?from=earliest&timeout=300ms", f"/v1/topics/{TOPIC}", "/v1/topics"):
                answer = leader.client.get(path, timeout=15)
                self.assertEqual(answer.status, 503, repr(answer))
                self.assertEqual(answer.json()["type"], "urn:weir:problem:no-leader", repr(answer))
            for broker in cluster.others(leader):
                broker.start()
            cluster.wait_for_leader()
            self.assertEqual([event["id"] for event in leader.client.events(TOPIC)], ["known"])

    def test_a_frozen_leader_comes_back_as_a_follower(self):  # FAULTS 77
        with Cluster(3) as cluster:
            ports = [broker.http_port for broker in cluster]
            publisher = Publisher(ports, TOPIC)
            publisher.start()
            for _ in range(3):
                wait_until(lambda: len(publisher.acked) >= 5, 20, "publishing goes on")
                self.freeze_and_thaw(cluster, publisher)
            publisher.stop()
            cluster.wait_for_leader()
            check_stored_once(self, cluster, TOPIC, publisher)

    def freeze_and_thaw(self, cluster, publisher):
        old = cluster.wait_for_leader()
        term = old.status()["term"]
        others = cluster.others(old)
        # What it received while it slept must not be acknowledged by the old leader on its own.
        old.freeze()
        late = LateRequest(old.http_port)
        late.start()
        new = cluster.wait_for_leader(others)
        self.assertGreater(new.status()["term"], term)
        acked = len(publisher.acked)
        wait_until(lambda: len(publisher.acked) > acked + 10, 20, "publishing goes on at the new leader")
        old.thaw()
        wait_until(lambda: (old.status() or {}).get("role") == "follower", 10, "the old leader follows")
        late.join(30 * TIME_FACTOR)
        if late.status in (200, 201):
            cluster.wait_for_leader()
            stored = new.client.find_id(TOPIC, late.event_id)
            self.assertEqual((stored.status, stored.json()["offset"]), (200, late.offset))

    def test_every_node_restarted_at_once_keeps_everything(self):  # FAULTS 76
        with Cluster(3) as cluster:
            publisher = Publisher([broker.http_port for broker in cluster], TOPIC)
            publisher.start()
            for _ in range(3):
                acked = len(publisher.acked)
                wait_until(lambda: len(publisher.acked) > acked + 20, 20, "publishing goes on")
                for broker in cluster:
                    broker.strike()
                for broker in cluster:
                    broker.restart()
            wait_until(lambda: len(publisher.acked) > acked + 40, 20, "publishing goes on")
            publisher.stop()
            check_stored_once(self, cluster, TOPIC, publisher)


class LateRequest(threading.Thread):
    """A publish to a node that is frozen: whatever it answers once it wakes must be true."""

    count = 0

    def __init__(self, port):
        super().__init__(daemon=True)
        LateRequest.count += 1
        self.client = BrokerClient(port)
        self.event_id = f"late-{LateRequest.count}"
        self.status = self.offset = None

    def run(self):
        try:
            answer = self.client.publish(TOPIC, "late", self.event_id, patience_s=20 * TIME_FACTOR)
            self.status = answer.status
            self.offset = answer.json().get("offset")
        except Unreachable:
            pass
        finally:
            self.client.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
