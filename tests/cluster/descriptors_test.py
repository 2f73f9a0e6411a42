#!/usr/bin/env python3
"""The limit of open files: more clients than it allows wait or are turned away, the members keep their connections, and
the broker serves again as soon as there is room (FAULTS 55)."""

import socket
import unittest

from broker_client import LOOPBACK, BrokerClient, Unreachable
from cluster import Cluster, wait_until

TOPIC = "orders/new"
# What is left for HTTP of it is a few dozen; its log and its members need the rest.
OPEN_FILES = 330
CLIENTS = 600


class Descriptors(unittest.TestCase):
    def test_clients_beyond_the_limit_do_no_harm(self):
        with Cluster(3, start=False) as cluster:
            for broker in cluster:
                broker.prefix = ["prlimit", f"--nofile={OPEN_FILES}:{OPEN_FILES}"]
            cluster.start_all()
            leader = cluster.wait_for_leader()
            self.assertEqual(leader.client.publish(TOPIC, "before", "k-1").status, 201)
            term = leader.status()["term"]
            crowd = []
            try:
                for _ in range(CLIENTS):
                    one = socket.socket()
                    one.settimeout(5)
                    one.connect((LOOPBACK, leader.http_port))
                    crowd.append(one)
                # Who was there before is served on.
                self.assertEqual(leader.client.publish(TOPIC, "meanwhile", "k-2").status, 201)
                other = cluster.others(leader)[0]
                self.assertEqual(other.client.publish(TOPIC, "forwarded", "k-3").status, 201)
                self.assertEqual(leader.status()["term"], term, "the members kept their connections")
                self.assertEqual(cluster.agreed_leader(), leader)
            finally:
                for one in crowd:
                    one.close()

            def served():
                try:
                    return BrokerClient(leader.http_port).publish(TOPIC, "after", "k-4").status in (200, 201)
                except Unreachable:
                    return False

            wait_until(served, 20, "a new client is served once the crowd has gone")
            self.assertEqual([event["id"] for event in leader.client.events(TOPIC)], ["k-1", "k-2", "k-3", "k-4"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
