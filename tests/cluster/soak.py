#!/usr/bin/env python3
"""A cluster under load that is hurt again and again, and what its clients saw checked in the end.

    soak.py --seconds 900 --kills 100 [--seed N]    both bounds must be reached (FAULTS 1, 9, 16, 30, 31, 32, 33, 36, 58, 60, 76, 77)

Three writers that repeat until acknowledged, a linear reader, a subscriber. Faults are drawn from the seed: kill -9 of
the leader, of any node, of a majority, of all; SIGSTOP and SIGCONT; leadership transfers; members 3 -> 5 -> 3. Checked:
nothing acknowledged is lost or doubled, the history is linearizable, the subscriber has missed nothing, all nodes serve
identical bytes.
"""

import argparse
import collections
import json
import random
import statistics
import sys
import threading
import time

from broker_client import Unreachable
from cluster import TIME_FACTOR, Cluster, wait_until
from history import History, Reader, Writer
from workload import Subscriber

TOPIC = "soak/log"
BACK_S = 60  # until a hurt cluster has a leader and its clients go on


class Soak:
    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.counts = collections.Counter()
        self.without_leader_ms = []
        self.history = History()
        self.names = 3

    def run(self, seconds, kills):
        with Cluster(3) as self.cluster:
            self.ports = [broker.http_port for broker in self.cluster]  # shared with the clients: members come and go
            self.writers = [Writer(self.ports, self.history, TOPIC, prefix) for prefix in "abc"]
            self.reader = Reader(self.ports, self.history, TOPIC)
            subscriber = Subscriber(self.ports, TOPIC)
            for thread in (*self.writers, self.reader):
                thread.start()
            self.wait_for_progress()
            subscriber.start()
            end = time.monotonic() + seconds
            next_line = time.monotonic() + 30
            while time.monotonic() < end or self.counts["kills"] < kills:
                self.hurt()
                self.cluster.check_nobody_fell_over()
                if time.monotonic() > next_line:
                    next_line += 30
                    print(f"  {self.summary()}", flush=True)
            self.calm()
            return self.check(subscriber)

    # --- faults

    def hurt(self):
        faults = {
            self.kill_leader: 6,
            self.kill_any: 3,
            self.kill_two: 1,
            self.kill_all: 1,
            self.freeze_leader: 2,
            self.freeze_any: 1,
            self.transfer: 2,
            self.grow_and_shrink: 1,
        }
        fault = self.dice.choices(list(faults), faults.values())[0]
        fault()
        self.wait_for_progress()

    def kill_leader(self):
        leader = self.cluster.wait_for_leader()
        term = leader.status()["term"]
        struck = time.monotonic()
        leader.kill()
        self.counts["kills"] += 1
        wait_until(lambda: self.leads_later(leader, term), BACK_S, "a new leader")
        self.without_leader_ms.append((time.monotonic() - struck) * 1000)
        self.wait_for_progress()
        leader.start()

    def leads_later(self, killed, term):
        for broker in self.cluster.running():
            state = broker.status() if broker is not killed else None
            if state and state["role"] == "leader" and state["term"] > term:
                return True
        return False

    def kill(self, brokers):
        for broker in brokers:
            broker.strike()
        for broker in brokers:
            broker.kill()
        self.counts["kills"] += len(brokers)
        self.pause(1.0)
        for broker in brokers:
            broker.start()

    def kill_any(self):
        self.kill([self.dice.choice(self.cluster.brokers)])

    def kill_two(self):
        self.kill(self.dice.sample(self.cluster.brokers, 2))

    def kill_all(self):
        self.kill(self.cluster.brokers)

    def freeze_leader(self):
        self.freeze(self.cluster.wait_for_leader())

    def freeze_any(self):
        self.freeze(self.dice.choice(self.cluster.brokers))

    def freeze(self, broker):
        broker.freeze()
        self.counts["freezes"] += 1
        self.pause(3.0)
        broker.thaw()

    def transfer(self):
        leader = self.cluster.wait_for_leader()
        if self.admin(leader, "POST", "/v1/cluster/transfer"):
            self.counts["transfers"] += 1

    def grow_and_shrink(self):
        """Two members more, then two of the five less: learners are caught up under load, leaders may be removed."""
        for _ in range(2):
            self.grow()
            self.wait_for_progress()
        self.kill_leader()
        for broker in self.dice.sample(self.cluster.brokers, 2):
            self.cluster.wait_for_leader()
            self.shrink(broker)
            self.wait_for_progress()

    def grow(self):
        self.names += 1
        broker = self.cluster.new_broker(f"n{self.names}").start()
        wait_until(broker.status, BACK_S, f"{broker.name} serves")
        body = json.dumps({"node": broker.name})
        wait_until(
            lambda: self.role_of(broker) or self.admin(self.leader(), "POST", "/v1/cluster/members", body),
            BACK_S,
            f"{broker.name} is admitted",
            every_s=0.1,
        )
        wait_until(lambda: self.role_of(broker) not in (None, "learner"), BACK_S, f"{broker.name} is a voter", every_s=0.1)
        self.cluster.brokers.append(broker)
        self.ports.append(broker.http_port)
        self.counts["members added"] += 1

    def shrink(self, broker):
        path = f"/v1/cluster/members/{broker.name}"
        wait_until(
            lambda: not self.role_of(broker) or self.admin(self.leader(), "DELETE", path),
            BACK_S,
            f"{broker.name} is removed",
            every_s=0.1,
        )
        self.ports.remove(broker.http_port)
        self.cluster.brokers.remove(broker)
        self.pause(0.5)  # what is removed must not disturb those that stay
        broker.kill()
        self.counts["members removed"] += 1

    def leader(self):
        return wait_until(lambda: next((b for b in self.cluster if self.leads(b)), None), BACK_S, "a leader")

    def leads(self, broker):
        state = broker.status()
        return state is not None and state["role"] == "leader"

    def role_of(self, broker):
        """As the leader sees it; None if it is no member."""
        state = self.leader().status()
        roles = {member["node"]: member["role"] for member in state["members"]} if state else {}
        return roles.get(broker.name)

    def admin(self, broker, method, path, body=None):
        """True if it was done. It may be refused (a change is on its way) or lost (the leader changes)."""
        try:
            answer = broker.client.request(method, path, body, {"Content-Type": "application/json"}, timeout=15)
        except Unreachable:
            return False
        return answer.status < 300

    # --- waiting

    def pause(self, seconds_max):
        """For how long a fault lasts; the load goes on meanwhile."""
        threading.Event().wait(self.dice.uniform(0.05, seconds_max))

    def wait_for_progress(self):
        counts = [len(writer.ack_times) for writer in self.writers]

        def all_went_on():
            for client in (*self.writers, self.reader):
                assert not client.surprises, client.surprises
            return all(len(writer.ack_times) >= count + 3 for writer, count in zip(self.writers, counts))

        wait_until(all_went_on, BACK_S, "every writer goes on", every_s=0.02)

    def calm(self):
        for broker in self.cluster:
            broker.thaw()
        self.cluster.start_all()
        self.cluster.wait_for_leader(bound_s=BACK_S)
        for client in (*self.writers, self.reader):
            client.stop()

    # --- verdict

    def check(self, subscriber):
        cluster = self.cluster
        events = cluster.wait_for_leader().client.events(TOPIC)
        cluster.wait_for_position(events[-1]["position"], bound_s=BACK_S * 5)
        wait_until(lambda: len(subscriber.events) >= len(events), BACK_S * 5, "the subscriber has seen all events")
        subscriber.stop()
        found = self.history.violations([event["id"] for event in events])
        if [event["offset"] for event in events] != list(range(len(events))):
            found.append("offsets have holes")
        if [event["position"] for event in subscriber.events] != [event["position"] for event in events]:
            found.append("the subscriber missed events or saw some twice")
        if len({broker.client.read_all(TOPIC) for broker in cluster}) != 1:
            found.append("the nodes do not serve identical bytes")
        return found, len(events)

    def summary(self):
        acked = sum(len(writer.ack_times) for writer in self.writers)
        counts = ", ".join(f"{what} {count}" for what, count in sorted(self.counts.items()))
        return f"{acked} events acknowledged, linear reads {len(self.history.reads)}; {counts}"

    def report(self, found, stored, seconds):
        gaps = [
            (after - before) * 1000
            for writer in self.writers
            for before, after in zip(writer.ack_times, writer.ack_times[1:])
        ]
        duplicates = sum(writer.duplicates for writer in self.writers)
        print(f"{seconds:.0f} s: {self.summary()}")
        print(f"{stored} events stored, {duplicates} repeats answered as duplicates; longest publish gap {max(gaps):.0f} ms")
        if self.without_leader_ms:
            times = sorted(self.without_leader_ms)
            print(f"time without leader over {len(times)} kills: median {statistics.median(times):.0f} ms, max {times[-1]:.0f} ms")
        print("\n".join(found[:20]) if found else "0 lost, 0 doubled, linearizable, the subscriber missed 0", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=900)
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=None)
    chosen = arguments.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"soak --seed {seed}", flush=True)
    began = time.monotonic()
    soak = Soak(seed)
    found, stored = soak.run(chosen.seconds * TIME_FACTOR, chosen.kills)
    soak.report(found, stored, time.monotonic() - began)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
