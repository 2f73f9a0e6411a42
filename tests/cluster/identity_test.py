#!/usr/bin/env python3
"""Which data folder is whose: wiped, swapped, shared, misnamed (FAULTS 23, 24, 45 in part, 52, 53, 54)."""

import subprocess
import unittest

from broker_client import Unreachable
from cluster import TIME_FACTOR, Cluster, binary, wait_until

TOPIC = "orders/new"


def refused(command, bound_s=10):
    """Runs a command that must give up by itself; (exit code, what it said)."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=bound_s * TIME_FACTOR, check=False)
    return done.returncode, done.stdout + done.stderr


def quiet_for(condition, seconds):
    """True if `condition` stayed false for that long."""
    try:
        wait_until(condition, seconds, "what must not happen", every_s=0.02)
    except AssertionError:
        return True
    return False


class Identity(unittest.TestCase):
    def test_two_wiped_nodes_of_three_never_elect_each_other(self):  # FAULTS 24
        with Cluster(3) as cluster:
            leader = cluster.wait_for_leader()
            self.assertEqual(leader.client.publish(TOPIC, "kept", "k-1").status, 201)
            cluster.wait_for_position(1)
            survivor = cluster.follower()
            wiped = cluster.others(survivor)
            for broker in cluster:
                broker.kill()
            for broker in wiped:
                broker.wipe()
            cluster.start_all()
            wait_until(survivor.status, 20, "the survivor answers")
            self.assertTrue(quiet_for(lambda: self.leads(cluster), 4), "a leader arose with two of three wiped")
            for broker in cluster:
                self.assertIn(self.publish_status(broker, "k-2"), (None, 503, 504))
            outline = survivor.client.get("/v1/raft/log?from=1&limit=1000").json()["entries"]
            kept = [event["id"] for entry in outline for event in entry["events"]]
            self.assertEqual(kept, ["k-1"], "the survivor's log is untouched")

    def test_one_wiped_node_comes_back_by_membership_changes(self):  # FAULTS 24
        with Cluster(3) as cluster:
            leader = cluster.wait_for_leader()
            self.assertEqual(leader.client.publish(TOPIC, "kept", "k-1").status, 201)
            wiped = cluster.follower()
            wiped.kill()
            wiped.wipe()
            wiped.start()
            leader = cluster.wait_for_leader(cluster.others(wiped))
            self.assertEqual(leader.client.publish(TOPIC, "still works", "k-2").status, 201)
            # The old incarnation goes, the new one comes as a learner and votes when it has caught up.
            wait_until(lambda: self.counts_again(leader, wiped), 20, "the wiped node is a voter again")
            partner = next(broker for broker in cluster.others(wiped) if broker is not leader)
            partner.kill()
            leader = cluster.wait_for_leader([leader, wiped])
            self.assertIn(self.publish_status(leader, "k-3"), (200, 201))
            wait_until(lambda: len(wiped.client.events(TOPIC)) == 3, 20, "the wiped node has the events")
            self.assertEqual([event["id"] for event in wiped.client.events(TOPIC)], ["k-1", "k-2", "k-3"])

    def test_swapped_data_folders_are_noticed(self):
        with Cluster(3) as cluster:
            leader = cluster.wait_for_leader()
            self.assertEqual(leader.client.publish(TOPIC, "kept", "k-1").status, 201)
            one, other = cluster.others(leader)
            one.kill()
            other.kill()
            one.data.rename(one.data.with_name("swap"))
            other.data.rename(one.data)
            one.data.with_name("swap").rename(other.data)
            for broker in (one, other):
                code, text = refused(broker.command())
                self.assertEqual(code, 2, text)
                self.assertIn(broker.name, text, "the message names the node")

    def test_a_node_of_another_cluster_is_refused(self):  # FAULTS 23
        with Cluster(3) as cluster, Cluster(3) as strangers:
            leader = cluster.wait_for_leader()
            self.assertEqual(leader.client.publish(TOPIC, "kept", "k-1").status, 201)
            guest = cluster.follower()
            guest.kill()
            stranger = next(broker for broker in strangers if broker.name == guest.name)
            stranger.kill()
            stranger.http_port, stranger.raft_port, stranger.peers = guest.http_port, guest.raft_port, guest.peers
            stranger.client.port = guest.http_port
            term = cluster.wait_for_leader(cluster.others(guest)).status()["term"]
            stranger.start()
            self.assertTrue(quiet_for(lambda: self.leads([stranger]), 2), "a stranger leads")
            self.assertEqual(cluster.wait_for_leader(cluster.others(guest)).status()["term"], term, "a stranger disturbs")
            answer = leader.client.publish(TOPIC, "still works", "k-2")
            self.assertEqual(answer.status, 201)

    def test_a_second_process_on_the_same_folder_is_refused(self):  # FAULTS 52
        with Cluster(1) as cluster:
            broker = cluster.brokers[0]
            command = broker.command()
            command[command.index(broker.http_address)] = "127.0.0.1:0"
            command[command.index(broker.raft_address)] = "127.0.0.1:0"
            code, text = refused(command)
            self.assertEqual(code, 2, text)
            self.assertIn(str(broker.data), text, "the message names the folder")
            self.assertEqual(broker.client.publish(TOPIC, "unharmed").status, 201)

    def test_a_folder_left_by_kill_opens_again(self):  # FAULTS 53
        with Cluster(1) as cluster:
            broker = cluster.brokers[0]
            for number in range(3):
                self.assertEqual(broker.client.publish(TOPIC, "x", f"k-{number}").status, 201)
                broker.restart()
                cluster.wait_for_leader()
            self.assertEqual([event["id"] for event in broker.client.events(TOPIC, consistency="linear")], ["k-0", "k-1", "k-2"])

    def test_a_data_folder_that_cannot_be_used_is_named(self):  # FAULTS 54
        with Cluster(1, start=False) as cluster:
            broker = cluster.brokers[0]
            broker.data.write_text("a file stands in the way\n")
            code, text = refused(broker.command())
            self.assertEqual(code, 2, text)
            self.assertIn(str(broker.data), text)

    def test_an_address_in_use_is_named(self):  # FAULTS 81 in part
        with Cluster(1) as cluster:
            broker = cluster.brokers[0]
            command = broker.command()
            command[command.index(str(broker.data))] = str(broker.data) + "-2"
            code, text = refused(command)
            self.assertEqual(code, 2, text)
            self.assertRegex(text, f"{broker.http_port}|{broker.raft_port}")

    def test_no_address_but_loopback_without_insecure(self):  # FAULTS 103
        with Cluster(1, start=False) as cluster:
            broker = cluster.brokers[0]
            for flag, address in (("--http", broker.http_address), ("--raft", broker.raft_address)):
                command = broker.command()
                command[command.index(flag) + 1] = address.replace("127.0.0.1", "0.0.0.0")
                code, text = refused(command)
                self.assertEqual(code, 2, f"{flag}: {text}")
                self.assertIn("--insecure", text, "the message says the way out")
                self.assertFalse(broker.data.exists(), "something was created before the refusal")

    def test_unknown_settings_are_refused(self):
        code, text = refused([binary(), "serve", "--no-such-flag"])
        self.assertEqual(code, 2, text)

    def leads(self, brokers):
        return any((broker.status() or {}).get("role") == "leader" for broker in brokers if broker.running())

    def counts_again(self, leader, wiped):
        rows = {row["node"]: row["role"] for row in (leader.status() or {}).get("members", [])}
        return (wiped.status() or {}).get("phase") == "running" and rows.get(wiped.name) == "follower"

    def publish_status(self, broker, event_id):
        try:
            return broker.client.publish(TOPIC, "x", event_id, patience_s=15, timeout="1s").status
        except Unreachable:
            return None


if __name__ == "__main__":
    unittest.main(verbosity=2)
