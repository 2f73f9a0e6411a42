#!/usr/bin/env python3
"""Consumer groups on real processes: workers and leaders killed between claim and commit, and each event is done once
(FAULTS 1, 58, 62, 76).

    groups_test.py                          the test
    groups_test.py work PORTS LIVES         one worker, that is killed when it has claimed so often
"""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import unittest

from broker_client import BrokerClient, Unreachable
from cluster import Cluster, binary, wait_until

JSON = {"Content-Type": "application/json"}
GROUP = "billing"
ORDERS = "orders/new"
INVOICES = "invoices"
EVENTS = 240
#  Short, so that what a killed worker held comes back within the test; longer than any request of a live one.
LEASE = "3s"
CLAIM = f"/v1/groups/{GROUP}/claim"
COMMIT = f"/v1/groups/{GROUP}/commit"


class AnyBroker:
    """Asks one member after the other until one answers. What may have been done is asked again: all of it is known
    again, by key or by lease; a claim whose answer was lost runs out."""

    def __init__(self, ports):
        self.clients = collections.deque(BrokerClient(port) for port in ports)

    def close(self):
        for client in self.clients:
            client.close()

    def ask(self, path, body=None, key=None):
        headers = dict(JSON)
        if key:
            headers["Idempotency-Key"] = f'"{key}"'

        def answer():
            try:
                got = self.clients[0].request("POST", path, body, headers, timeout=10)
                if got.status not in (503, 504):
                    return got
            except Unreachable:
                pass
            self.clients.rotate(1)
            return None

        return wait_until(answer, 60, f"an answer to POST {path}", 0.02)


def invoice(claim):
    """One invoice for each order, and the orders are done: in one request."""
    return {
        "publish": [{"topic": INVOICES, "data": event["data"]} for event in claim["events"]],
        "commit": {"group": GROUP, "lease": claim["lease"], "cursor": claim["cursor"]},
    }


def work(ports, lives):
    """Works until it has claimed `lives` times: then it is killed, with what it holds."""
    broker = AnyBroker(ports)
    while True:
        claimed = broker.ask(f"{CLAIM}?max=3&lease={LEASE}&wait=500ms")
        if claimed.status == 204:
            continue
        claim = claimed.json()
        lives -= 1
        if lives == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        done = broker.ask("/v1/batch", json.dumps(invoice(claim)), key=f"{GROUP}-{claim['lease']}")
        #  Late, its lease is lost: nothing was stored, and the orders are somebody else's.
        assert done.status in (200, 201, 409), repr(done)


class Workers:
    """Three at a time; who is killed is followed by another."""

    def __init__(self, ports, dice):
        self.ports = ports
        self.dice = dice
        self.killed = 0
        self.running = [self.start() for _ in range(3)]

    def start(self):
        ports = ",".join(map(str, self.dice.sample(self.ports, 3)))
        return subprocess.Popen([sys.executable, __file__, "work", ports, str(self.dice.randint(1, 6))])

    def replace_killed(self):
        for place, worker in enumerate(self.running):
            if worker.poll() is not None:
                assert worker.returncode == -signal.SIGKILL, f"a worker ended by itself: {worker.returncode}"
                self.killed += 1
                self.running[place] = self.start()

    def stop(self):
        for worker in self.running:
            worker.kill()
            worker.wait()


class Groups(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.cluster.wait_for_leader()
        self.ports = [broker.http_port for broker in self.cluster]
        self.broker = AnyBroker(self.ports)
        self.addCleanup(self.broker.close)

    def publish(self, topic, count, first=0):
        batch = [{"id": f"o-{number}", "data": number} for number in range(first, first + count)]
        answer = self.cluster.follower().client.publish_lines(topic, batch)
        self.assertEqual(answer.status, 201, repr(answer))

    def make_group(self, pattern=ORDERS):
        client = self.cluster.follower().client
        made = client.request("PUT", f"/v1/groups/{GROUP}", json.dumps({"pattern": pattern}), JSON)
        self.assertEqual(made.status, 201, repr(made))

    def group(self, broker=None):
        answer = (broker or self.cluster.follower()).client.get(f"/v1/groups/{GROUP}")
        self.assertEqual(answer.status, 200, repr(answer))
        return answer.json()

    def verify(self):
        answer = self.cluster.agreed_leader().client.request("POST", "/v1/cluster/verify")
        self.assertEqual((answer.status, answer.json()["differ"]), (200, []), repr(answer))

    def test_each_order_gets_one_invoice_whoever_is_killed(self):
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"seed {seed}", flush=True)
        dice = random.Random(seed)
        self.publish(ORDERS, EVENTS)
        self.make_group()
        workers = Workers(self.ports, dice)
        self.addCleanup(workers.stop)
        leaders_killed = 0

        def all_done():
            nonlocal leaders_killed
            workers.replace_killed()
            if workers.killed >= 4 * (leaders_killed + 1) and leaders_killed < 3:
                leader = self.cluster.wait_for_leader()
                leader.kill()
                self.cluster.wait_for_leader()
                leader.start()
                self.cluster.wait_for_leader()
                leaders_killed += 1
            group = self.group()
            return group["lag"] == 0 and not group["leases"]

        wait_until(all_done, 150, lambda: f"all orders are done: {self.group()}", 0.05)
        self.assertGreater(workers.killed, 5)
        invoiced = collections.Counter(event["data"] for event in self.cluster.follower().client.events(INVOICES))
        self.assertEqual(invoiced, collections.Counter(range(EVENTS)))
        self.verify()

    def test_a_commit_outlives_the_leader_that_gave_the_lease(self):
        self.publish(ORDERS, 10)
        self.make_group()
        claim = self.broker.ask(f"{CLAIM}?max=4&lease=60s").json()
        leader = self.cluster.wait_for_leader()
        leader.kill()
        self.cluster.wait_for_leader()
        other = self.broker.ask(f"{CLAIM}?max=4&lease=60s").json()
        self.assertEqual([event["offset"] for event in other["events"]], [4, 5, 6, 7], "held is held")
        done = self.broker.ask("/v1/batch", json.dumps(invoice(claim)))
        self.assertEqual(done.status, 201, repr(done))
        again = self.broker.ask(COMMIT, json.dumps({"lease": claim["lease"], "cursor": claim["cursor"]}))
        self.assertEqual((again.status, again.json()["cursor"]), (200, claim["cursor"]), repr(again))
        leader.start()
        self.cluster.wait_for_leader()
        self.assertEqual(self.group(leader)["cursor"], claim["cursor"], "also on the one that was away")

    def test_groups_and_leases_are_there_after_a_restart_of_all(self):
        self.publish(ORDERS, 10)
        self.make_group()
        first = self.broker.ask(f"{CLAIM}?max=2&lease=600s").json()
        second = self.broker.ask(f"{CLAIM}?max=3&lease=600s").json()
        self.assertEqual(self.broker.ask(COMMIT, json.dumps({"lease": second["lease"], "cursor": second["cursor"]})).status, 200)
        before = self.group()
        for broker in self.cluster:
            broker.kill()
        self.cluster.start_all()
        self.cluster.wait_for_leader()
        self.assertEqual(self.group(), before)
        done = self.broker.ask(COMMIT, json.dumps({"lease": first["lease"], "cursor": first["cursor"]}))
        self.assertEqual((done.status, done.json()["cursor"]), (200, second["cursor"]), repr(done))
        self.verify()

    def test_what_retention_took_is_told_and_can_be_passed(self):
        for first in range(0, 20, 5):
            self.publish(ORDERS, 5, first)  # retention keeps whole entries of the log
        self.make_group()
        self.assertEqual(self.broker.ask(COMMIT, json.dumps({"cursor": self.group()["cursor"]})).status, 200)
        client = self.cluster.follower().client
        seek = client.request("PUT", f"/v1/groups/{GROUP}", json.dumps({"cursor": self.group()["cursor"]}), JSON)
        self.assertEqual(seek.status, 200, "from here on its events are asked for, from the first on")
        changed = client.request("PATCH", f"/v1/topics/{ORDERS}", json.dumps({"retention": {"count": 5}}), JSON)
        self.assertEqual(changed.status, 200, repr(changed))
        shown = f"/v1/topics/{ORDERS}"
        wait_until(lambda: all(b.client.get(shown).json()["first_offset"] == 15 for b in self.cluster), 20, "15 are gone")
        claim = self.broker.ask(f"{CLAIM}?max=2").json()
        self.assertEqual(claim["gap"], {"from_position": 1, "to_position": 15})
        self.assertEqual([event["offset"] for event in claim["events"]], [15, 16])
        self.assertEqual(client.get(f"/v1/events/{ORDERS}?from=group:{GROUP}").status, 410)
        self.assertEqual(self.broker.ask(COMMIT, json.dumps({"lease": claim["lease"], "cursor": claim["cursor"]})).status, 200)
        rest = client.get(f"/v1/events/{ORDERS}?from=group:{GROUP}")
        self.assertEqual([event["offset"] for event in rest.lines()], [17, 18, 19], repr(rest))

    def sub(self):
        servers = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        command = [binary(), "sub", ORDERS, "--group", GROUP, "-o", "raw", "--server", servers]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_killed_sub_resumes_where_its_group_is(self):
        self.publish(ORDERS, 100)
        first = self.sub()
        printed = [int(first.stdout.readline()) for _ in range(100)]
        self.assertEqual(printed, list(range(100)), "a new group begins with the oldest")
        wait_until(lambda: self.group()["lag"] == 0, 20, "what was printed is committed", 0.05)
        first.kill()
        first.wait()
        self.publish(ORDERS, 10, first=100)
        leader = self.cluster.wait_for_leader()
        leader.kill()
        self.cluster.wait_for_leader()
        second = self.sub()
        self.assertEqual([int(second.stdout.readline()) for _ in range(10)], list(range(100, 110)))

    def test_the_command_line_shows_moves_and_removes(self):
        self.publish(ORDERS, 10)
        self.make_group()
        server = ["--server", f"127.0.0.1:{self.cluster.follower().http_port}"]

        def weir(*words):
            ran = subprocess.run([binary(), "group", *words, *server], capture_output=True, text=True, timeout=30)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            return ran.stdout

        self.assertIn(ORDERS, weir("ls"))
        self.assertIn(" goes on after ", weir("seek", GROUP, "latest"))
        self.assertEqual(json.loads(weir("info", GROUP, "-o", "json"))["lag"], 0)
        self.assertIn(" removed; ", weir("rm", GROUP))
        self.assertNotIn(GROUP, weir("ls"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work([int(port) for port in sys.argv[2].split(",")], int(sys.argv[3]))
    else:
        unittest.main(verbosity=2)
