#!/usr/bin/env python3
"""One id, one event: through every node, across leaders and restarts (FAULTS 58, 60, 61, 62, 64)."""

import threading
import unittest

from broker_client import BrokerClient
from cluster import Cluster, wait_until

TOPIC = "orders/new"
SAME_TIME_TRIES = 20


class Ids(unittest.TestCase):
    def test_forwarding_says_who_did_it_and_every_node_knows_the_id(self):  # FAULTS 58
        with Cluster(3) as cluster:
            leader = cluster.wait_for_leader()
            follower = cluster.follower()
            first = follower.client.publish(TOPIC, "a", "o-1")
            self.assertEqual(first.status, 201, repr(first))
            self.assertEqual(first.headers["weir-offset"], "0")
            self.assertEqual(first.headers["weir-durability"], "quorum-disk")
            self.assertIn(follower.name, first.headers["weir-node"])
            self.assertIn(f"leader={leader.name}", first.headers["weir-node"])
            result = first.json()
            self.assertEqual((result["topic"], result["id"], result["duplicate"]), (TOPIC, "o-1", False))
            for broker in cluster:
                again = broker.client.publish(TOPIC, "a", "o-1")
                self.assertEqual((again.status, again.headers.get("weir-duplicate")), (200, "true"), broker.name)
                self.assertEqual(again.json(), {**result, "duplicate": True}, "the original's offset and time")

    def test_redirect_is_there_for_who_prefers_it(self):
        with Cluster(3) as cluster:
            leader = cluster.wait_for_leader()
            answer = cluster.follower().client.request(
                "POST", f"/v1/events/{TOPIC}?id=r-1", b"x", {"Prefer": "redirect", "Content-Type": "text/plain"}
            )
            self.assertEqual(answer.status, 307, repr(answer))
            self.assertIn(f":{leader.http_port}/v1/events/{TOPIC}?id=r-1", answer.headers["location"])

    def test_other_content_under_a_known_id_is_refused(self):  # FAULTS 61
        with Cluster(3) as cluster:
            client = cluster.follower().client
            self.assertEqual(client.publish(TOPIC, "first", "o-1").status, 201)
            for broker in cluster:
                answer = broker.client.publish(TOPIC, "second", "o-1")
                self.assertEqual((answer.status, answer.json()["type"]), (422, "urn:weir:problem:id-reuse"))
                self.assertEqual(answer.json()["offset"], 0)
            other_type = client.publish(TOPIC, "first", "o-1", content_type="application/octet-stream")
            self.assertEqual(other_type.status, 422)
            other_key = client.publish(TOPIC, "first", "o-1", key="k")
            self.assertEqual(other_key.status, 422)
            batch = client.publish_lines(TOPIC, [{"id": "n-1", "data": 1}, {"id": "o-1", "data": "second"}])
            self.assertEqual(batch.status, 422, "422 refuses the whole batch")
            self.assertEqual([event["id"] for event in client.events(TOPIC)], ["o-1"])

    def test_the_same_id_at_the_same_time_on_two_nodes(self):  # FAULTS 60
        with Cluster(3) as cluster:
            ports = [broker.http_port for broker in cluster]
            for number in range(SAME_TIME_TRIES):
                answers = self.at_once(ports, f"twin-{number}")
                self.assertEqual(sorted(answer.status for answer in answers), [200, 200, 201])
                self.assertEqual(len({answer.json()["offset"] for answer in answers}), 1)
            self.assertEqual(len(cluster.brokers[0].client.events(TOPIC)), SAME_TIME_TRIES)

    def at_once(self, ports, event_id):
        barrier = threading.Barrier(len(ports))
        answers = []

        def publish(port):
            client = BrokerClient(port)
            client.get("/healthz")
            barrier.wait(20)
            answers.append(client.publish(TOPIC, "same", event_id))
            client.close()

        threads = [threading.Thread(target=publish, args=(port,)) for port in ports]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(len(answers), len(ports))
        return answers

    def test_ids_survive_failover_and_a_restart_of_all(self):  # FAULTS 62
        with Cluster(3) as cluster:
            leader = cluster.wait_for_leader()
            originals = {
                f"o-{n}": leader.client.publish(TOPIC, f"event {n}", f"o-{n}").json() for n in range(50)
            }
            leader.kill()
            self.check_duplicates(cluster.wait_for_leader().client, originals)
            leader.start()
            cluster.wait_for_leader()
            self.check_duplicates(leader.client, originals)
            for broker in cluster:
                broker.kill()
            cluster.start_all()
            cluster.wait_for_leader()
            for broker in cluster:
                self.check_duplicates(broker.client, originals)
                self.assertEqual(len(broker.client.events(TOPIC)), 50)

    def check_duplicates(self, client, originals):
        for event_id, original in originals.items():
            again = client.publish(TOPIC, f"event {event_id[2:]}", event_id)
            self.assertEqual((again.status, again.json()), (200, {**original, "duplicate": True}))
        found = client.find_id(TOPIC, "o-7")
        self.assertEqual(found.status, 200)
        for field in ("offset", "position", "time"):
            self.assertEqual(found.json()[field], originals["o-7"][field])
        self.assertEqual(client.find_id(TOPIC, "o-77").status, 404)

    def test_claims_are_ids_without_events(self):
        with Cluster(3) as cluster:
            first, second, third = [broker.client for broker in cluster]
            self.assertEqual(first.request("PUT", f"/v1/ids/{TOPIC}?id=12345").status, 201)
            self.assertEqual(second.request("PUT", f"/v1/ids/{TOPIC}?id=12345").status, 200)
            answer = third.publish(TOPIC, "x", "12345")
            self.assertEqual((answer.status, answer.json()["type"]), (409, "urn:weir:problem:id-claimed"))
            self.assertEqual(first.publish(TOPIC, "x", "o-1").status, 201)
            self.assertEqual(second.request("PUT", f"/v1/ids/{TOPIC}?id=o-1").status, 200, "published before")
            for broker in cluster:
                broker.restart()
            cluster.wait_for_leader()
            self.assertEqual(first.request("PUT", f"/v1/ids/{TOPIC}?id=12345").status, 200)
            self.assertEqual(first.publish(TOPIC, "x", "12345").status, 409)

    def test_where_an_id_may_stand_and_what_it_is_bound_to(self):  # FAULTS 64
        with Cluster(1) as cluster:
            client = cluster.brokers[0].client
            for number, headers in enumerate(
                ({"Weir-Id": "h-0"}, {"Idempotency-Key": '"h-1"'}, {"Idempotency-Key": "h-2"}, {"ce-id": "h-3"})
            ):
                headers = {"Content-Type": "text/plain", **headers}
                path = "/v1/events/places"
                first = client.request("POST", path, b"x", headers)
                self.assertEqual((first.status, first.json()["id"]), (201, f"h-{number}"), repr(first))
                self.assertEqual(client.request("POST", path, b"x", headers).status, 200)
            self.assertEqual(client.publish("one", "x", "shared").status, 201)
            self.assertEqual(client.publish("two", "x", "shared").status, 201, "another topic, another id")
            sources = [
                client.request("POST", "/v1/events/one", b"x", {"ce-id": "shared", "ce-source": source}).status
                for source in ("a", "b", "a")
            ]
            self.assertEqual(sources, [201, 201, 200], "another source, another id")
            self.assertEqual([client.publish("none", "same").status for _ in range(2)], [201, 201], "no id: no check")

    def test_batches_are_atomic_and_know_their_ids(self):
        with Cluster(3) as cluster:
            client = cluster.follower().client
            answer = client.publish_lines(TOPIC, [{"id": "a", "data": 1}, {"id": "b", "data": 2}, {"id": "a", "data": 1}])
            result = answer.json()
            self.assertEqual((answer.status, result["stored"], result["duplicates"]), (201, 2, 1), repr(answer))
            self.assertEqual([entry["duplicate"] for entry in result["results"]], [False, False, True])
            self.assertEqual([entry["offset"] for entry in result["results"]], [0, 1, 0])
            again = client.publish_lines(TOPIC, [{"id": "b", "data": 2}, {"id": "a", "data": 1}])
            self.assertEqual((again.status, again.json()["stored"]), (200, 0))

    def test_expectations_are_checked_after_ids(self):
        with Cluster(3) as cluster:
            client = cluster.follower().client
            self.assertEqual(client.publish(TOPIC, "x", "e-0", expect=0).status, 201)
            self.assertEqual(client.publish(TOPIC, "x", "e-0", expect=0).status, 200, "a repeat never fails by it")
            late = client.publish(TOPIC, "y", "e-1", expect=0)
            self.assertEqual((late.status, late.json()["next"]), (412, 1))
            self.assertEqual(late.json()["type"], "urn:weir:problem:expectation-failed")
            self.assertEqual(client.publish(TOPIC, "y", "e-1", expect=1).status, 201)
            headers = {"If-None-Match": "*", "Content-Type": "text/plain"}
            self.assertEqual(client.request("POST", f"/v1/events/{TOPIC}", b"z", headers).status, 412)
            self.assertEqual(client.request("POST", "/v1/events/empty", b"z", headers).status, 201)
            tag = client.request("HEAD", f"/v1/events/{TOPIC}").headers["etag"]
            headers = {"If-Match": tag, "Content-Type": "text/plain"}
            self.assertEqual(client.request("POST", f"/v1/events/{TOPIC}", b"z", headers).status, 201)
            self.assertEqual(client.request("POST", f"/v1/events/{TOPIC}", b"z", headers).status, 412)


class IdsOnDisk(unittest.TestCase):
    """Memory has room for hardly any id: all but the newest are in files (docs/decisions/0021)."""

    BATCH = 200
    BATCHES = 30

    def batch(self, number):
        return [{"id": f"id-{number}-{n}", "data": f"of {number} {n} " + "x" * 60} for n in range(self.BATCH)]

    def check_all_known(self, broker):
        for number in range(self.BATCHES):
            answer = broker.client.publish_lines(TOPIC, self.batch(number))
            self.assertEqual((answer.status, answer.json()["duplicates"]), (200, self.BATCH), repr(answer))
            offsets = [one["offset"] for one in answer.json()["results"]]
            self.assertEqual(offsets, list(range(number * self.BATCH, (number + 1) * self.BATCH)))
        changed = [{**self.batch(3)[0], "data": "something else"}]
        self.assertEqual(broker.client.publish_lines(TOPIC, changed).status, 422)

    def test_they_are_known_by_every_node_after_every_start(self):
        with Cluster(3, start=False) as cluster:
            for broker in cluster:
                broker.extra = ["--segment-bytes", "262144", "--dedup-memory-bytes", "1KiB"]
            cluster.start_all()
            leader = cluster.wait_for_leader()
            for number in range(self.BATCHES):
                self.assertEqual(leader.client.publish_lines(TOPIC, self.batch(number)).status, 201)
            stored = self.BATCH * self.BATCHES
            cluster.wait_for_position(stored)
            for broker in cluster:
                wait_until(
                    lambda broker=broker: broker.metric("weir_id_runs_ids") > stored // 2,
                    30,
                    f"ids of {broker.name} are on its disk",
                )
            self.check_all_known(cluster.follower())
            for broker in cluster:
                broker.kill()
            cluster.start_all()
            self.check_all_known(cluster.wait_for_leader())
            # A member that begins empty makes its own files of what it is sent.
            wiped = cluster.follower()
            wiped.kill()
            wiped.wipe()
            wiped.start()
            cluster.wait_for_position(stored)
            wait_until(lambda: wiped.metric("weir_id_runs_ids") > 0, 30, "ids of the new one are on its disk")
            self.check_all_known(wiped)
            for broker in cluster:
                self.assertEqual(broker.status()["position"], stored, "nothing was stored twice")


if __name__ == "__main__":
    unittest.main(verbosity=2)
