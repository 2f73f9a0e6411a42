#!/usr/bin/env python3
"""Settings of topics hold on every node, through a restart and in a snapshot's state; what is removed is gone
everywhere (FAULTS 63)."""

import json
import subprocess
import unittest

from cluster import Cluster, binary, wait_until

JSON = {"Content-Type": "application/json"}
#  A window that a test can sit out.
WINDOW_S = 2


def put(client, topic, settings, **headers):
    return client.request("PUT", f"/v1/topics/{topic}", json.dumps(settings), {**JSON, **headers})


class Topics(unittest.TestCase):
    def start(self, *extra):
        self.cluster = Cluster(3, start=False)
        for broker in self.cluster:
            broker.extra = list(extra)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.cluster.start_all()
        self.cluster.wait_for_leader()

    def restart_all(self):
        for broker in self.cluster:
            broker.kill()
        self.cluster.start_all()
        self.cluster.wait_for_leader()

    def shown(self, broker, topic):
        return broker.client.get(f"/v1/topics/{topic}").json()

    def wait_until_all_show(self, topic, wanted):
        def all_show():
            return all(self.shown(broker, topic).get("settings") == wanted for broker in self.cluster)

        wait_until(all_show, 20, f"{topic} has these settings on every node: {wanted}")

    def verify(self):
        answer = self.cluster.agreed_leader().client.request("POST", "/v1/cluster/verify")
        self.assertEqual((answer.status, answer.json()["differ"]), (200, []), repr(answer))

    def test_settings_hold_on_every_node_and_after_a_restart(self):
        self.start()
        wanted = {"retention": {"age": "7d", "bytes": None, "count": 100}, "dedup": "12h"}
        created = put(self.cluster.follower().client, "orders", wanted)
        self.assertEqual((created.status, created.json()["settings"]), (201, wanted), repr(created))
        again = put(self.cluster.follower().client, "orders", wanted, **{"If-None-Match": "*"})
        self.assertEqual(again.status, 200, repr(again))
        other = put(self.cluster.follower().client, "orders", {}, **{"If-None-Match": "*"})
        self.assertEqual((other.status, other.json()["type"]), (409, "urn:weir:problem:conflict"), repr(other))
        self.wait_until_all_show("orders", wanted)
        self.restart_all()
        self.wait_until_all_show("orders", wanted)
        self.verify()

    def test_a_topic_keeps_what_its_own_limits_say(self):
        self.start("--retention-count", "50")
        client = self.cluster.follower().client
        self.assertEqual(put(client, "short", {"retention": {"count": 10}}).status, 201)
        self.assertEqual(put(client, "all", {"retention": {"count": "off"}}).status, 201)
        for topic in ("short", "all", "usual"):
            for first in range(0, 100, 10):
                batch = [{"id": f"id-{number}", "data": number} for number in range(first, first + 10)]
                self.assertEqual(client.publish_lines(topic, batch).status, 201)

        def kept():
            return [
                [self.shown(broker, topic).get("events") for topic in ("short", "all", "usual")]
                for broker in self.cluster
            ]

        wait_until(lambda: kept() == [[10, 100, 50]] * 3, 20, "every node keeps 10, 100 and 50")
        changed = client.request("PATCH", "/v1/topics/all", json.dumps({"retention": {"count": 30}}), JSON)
        self.assertEqual(changed.status, 200, repr(changed))
        wait_until(lambda: kept() == [[10, 30, 50]] * 3, 20, "every node keeps 30 of what it kept all of")
        self.verify()

    def test_an_id_leaves_its_window_by_log_time_and_not_before(self):
        self.start()
        client = self.cluster.follower().client
        self.assertEqual(put(client, "readings", {"dedup": f"{WINDOW_S}s"}).status, 201)
        first = client.publish("readings", "1", "a").json()
        second = client.publish("readings", "1", "a").json()
        self.assertEqual((second["duplicate"], second["offset"]), (True, 0))
        results = []

        def is_new():
            results.append(client.publish("readings", "1", "a").json())
            return not results[-1]["duplicate"]

        wait_until(is_new, 20, "the id is forgotten", every_s=0.05)
        self.assertEqual(results[-1]["offset"], 1)
        self.assertGreater(self.milliseconds(results[-1]["time"]) - self.milliseconds(first["time"]), WINDOW_S * 1000)
        self.verify()

    @staticmethod
    def milliseconds(time):
        hours, minutes, seconds = time[11:-1].split(":")
        return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)

    def test_a_topic_that_is_removed_is_gone_everywhere_and_goes_on_counting(self):
        self.start()
        client = self.cluster.follower().client
        batch = [{"id": f"id-{number}", "data": number} for number in range(5)]
        self.assertEqual(client.publish_lines("orders", batch).status, 201)
        removed = client.request("DELETE", "/v1/topics/orders")
        self.assertEqual((removed.status, removed.json()["next_offset"]), (200, 5), repr(removed))
        self.assertEqual(client.get("/v1/topics/orders").status, 404, "the node that was asked shows it at once")

        def all_forgot():
            return all(broker.client.get("/v1/events/orders?from=earliest").status == 404 for broker in self.cluster)

        wait_until(all_forgot, 20, "no node has it")
        self.restart_all()
        wait_until(all_forgot, 20, "no node has it after a restart")
        back = self.cluster.follower().client.publish("orders", "new", "id-0").json()
        self.assertEqual((back["offset"], back["duplicate"]), (5, False))
        self.verify()

    def test_without_auto_create_only_created_topics_take_events(self):
        self.start("--topics-auto-create", "false")
        client = self.cluster.follower().client
        answers = []

        def leader_knows():
            # 503 until it has applied an entry of its own term.
            answers.append(client.publish("orders", "1", "a"))
            return answers[-1].status != 503

        wait_until(leader_knows, 20, "the leader says whether the topic exists")
        refused = answers[-1]
        self.assertEqual((refused.status, "PUT /v1/topics/orders" in refused.json()["detail"]), (404, True))
        self.assertEqual(put(client, "orders", {}).status, 201)
        for broker in self.cluster:
            answer = broker.client.publish("orders", broker.name, broker.name)
            self.assertEqual(answer.status, 201, "a node that is behind asks the leader: " + repr(answer))

    def test_the_command_line_creates_shows_changes_and_removes(self):
        self.start()

        def weir(*words):
            command = [binary(), "topic", *words, "--server", self.cluster.follower().http_address]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            return ran.returncode, ran.stdout, ran.stderr

        code, out, err = weir("create", "orders", "--retention-age", "7d", "--dedup", "12h")
        self.assertEqual((code, err), (0, ""), out)
        self.assertRegex(out, r"retention\.age +7d +topic\n")
        self.assertRegex(out, r"retention\.bytes +off +broker\n")
        self.assertEqual(weir("create", "orders")[0], 1, "it is there with other settings")
        code, out, _ = weir("set", "orders", "--retention-age", "default", "-o", "json")
        self.assertEqual((code, json.loads(out)["settings"]["retention"]["age"]), (0, None))
        self.assertRegex(weir("info", "orders")[1], r"dedup +12h +topic\n")
        code, out, _ = weir("set", "orders", "--dedup", "forever")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"dedup +forever +topic\n")
        self.assertEqual(weir("set", "orders", "--dedup", "for a while")[0], 1)
        self.assertEqual(weir("set", "orders")[0], 2)
        self.assertEqual(
            weir("rm", "orders"), (0, "orders removed; should it come back, its next offset is 0\n", "")
        )
        self.assertEqual(weir("rm", "orders")[0], 1)


if __name__ == "__main__":
    unittest.main()
